//! Requests that a page of another address makes a browser on this machine send.
//!
//! Such a page cannot read the answer, because no header allows it to (CORS). But requests alone can keep the API busy: the
//! address of an image is a request. Browsers state who caused a request, in headers that a page can neither set nor leave out:
//! `Sec-Fetch-Site` (Fetch Metadata) in every request to this machine, `Origin` (RFC 6454) in some. A program that is no browser
//! sends neither.
//!
//! Following a link from another address is refused too: a page opens addresses in frames and windows as easily as it loads
//! images, and it is easy to make a person click. An address that a person types or pastes is allowed (`Sec-Fetch-Site: none`).
//! Paths that need no grant anywhere, among them the reader of the API's description, are answered before this check: links to
//! them work.

use axum::http::HeaderMap;
use axum::http::header::{CONTENT_TYPE, HOST, HeaderName, ORIGIN};

const SEC_FETCH_SITE: HeaderName = HeaderName::from_static("sec-fetch-site");

/// Whether a page of another address caused the request: of another site, or of this one at another port or under another name.
pub(crate) fn is_cross_site(headers: &HeaderMap) -> bool {
    // Any other value is one that browsers may send in future, or it is not from a browser.
    let fetched = headers.get_all(SEC_FETCH_SITE).iter().any(|site| !matches!(site.as_bytes(), b"none" | b"same-origin"));
    let of_here = match (one(headers, ORIGIN), one(headers, HOST)) {
        (Ok(None), _) => true,
        (Ok(Some(origin)), Ok(Some(host))) => origin.strip_prefix("http://").is_some_and(|of| of.eq_ignore_ascii_case(host)),
        _ => false,
    };
    fetched || !of_here
}

/// Whether a request has a header that no form can set: a page of another site would have to ask first (CORS), and that is never
/// allowed. This protects people whose browsers do not send the headers above.
pub(crate) fn is_marked(headers: &HeaderMap) -> bool {
    let is_json = |kind: &str| kind.split(';').next().is_some_and(|kind| kind.trim().eq_ignore_ascii_case("application/json"));
    headers.contains_key("x-boxbox") || one(headers, CONTENT_TYPE).is_ok_and(|kind| kind.is_some_and(is_json))
}

/// The header's value, if it is present; an error if it is present twice or is not text.
fn one(headers: &HeaderMap, name: HeaderName) -> Result<Option<&str>, ()> {
    let mut all = headers.get_all(name).iter();
    match (all.next(), all.next()) {
        (None, _) => Ok(None),
        (Some(one), None) => one.to_str().map(Some).map_err(|_| ()),
        _ => Err(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOME: (&str, &str) = ("host", "localhost:7480");

    fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
        let mut headers = HeaderMap::new();
        for (name, value) in pairs {
            headers.append(HeaderName::from_static(name), value.parse().unwrap());
        }
        headers
    }

    #[test]
    fn only_pages_of_this_address_and_people_ask() {
        for allowed in [
            &[][..],
            // A program.
            &[("user-agent", "curl/8.5.0")],
            // Typed into the address bar.
            &[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-user", "?1")],
            // The reader of the API's description.
            &[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
            &[("sec-fetch-site", "same-origin"), ("origin", "http://localhost:7480")],
            &[("origin", "http://LOCALHOST:7480")],
        ] {
            assert!(!is_cross_site(&headers(&[&[HOME], allowed].concat())), "{allowed:?}");
        }
        for foreign in [
            // An image, a script, a frame, a link, a window, a form.
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")][..],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-user", "?1")],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")],
            &[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "cors"), ("origin", "http://evil.example")],
            // Another program's page at another port of this machine.
            &[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image")],
            &[("sec-fetch-site", "same-site"), ("origin", "http://localhost:3000")],
            // Browsers that do not send `Sec-Fetch-Site`.
            &[("origin", "http://evil.example")],
            &[("origin", "https://localhost:7480")],
            &[("origin", "http://localhost:7480.evil.example")],
            &[("origin", "http://localhost:9999")],
            &[("origin", "http://localhost")],
            &[("origin", "http://127.0.0.1:7480")],
            &[("origin", "localhost:7480")],
            &[("origin", "null")],
            &[("origin", "")],
            // What no browser sends.
            &[("sec-fetch-site", "")],
            &[("sec-fetch-site", "none, cross-site")],
            &[("sec-fetch-site", "none"), ("sec-fetch-site", "cross-site")],
            &[("sec-fetch-site", "same-origin"), ("origin", "http://evil.example")],
            &[("origin", "http://localhost:7480"), ("origin", "http://evil.example")],
        ] {
            assert!(is_cross_site(&headers(&[&[HOME], foreign].concat())), "{foreign:?}");
        }
        // An origin is compared with the address of the request; without a `Host` no origin can be this address.
        assert!(is_cross_site(&headers(&[("origin", "http://localhost:7480")])));
    }

    #[test]
    fn what_a_form_can_send_is_not_marked() {
        for marks in [("x-boxbox", "1"), ("content-type", "application/json"), ("content-type", "Application/JSON; charset=utf-8")] {
            assert!(is_marked(&headers(&[HOME, marks])), "{marks:?}");
        }
        for of_a_form in ["text/plain", "multipart/form-data; boundary=application/json", "application/x-www-form-urlencoded", ""] {
            assert!(!is_marked(&headers(&[HOME, ("content-type", of_a_form)])), "{of_a_form}");
        }
        assert!(!is_marked(&headers(&[HOME])));
    }
}
