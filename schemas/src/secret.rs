//! A password, token or key that printing and logging do not show.

use std::fmt;

/// A secret text. It has no `Display`, and its `Debug` shows nothing.
#[derive(Clone)]
pub struct Secret(String);

/// The text cannot be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SecretError {
    /// The file is empty, or has only a line end.
    #[error("it is empty")]
    Empty,
    /// C libraries would cut it short there.
    #[error("it has a zero byte in it")]
    ZeroByte,
    /// None of the protocols can send it.
    #[error("it is not UTF-8 text")]
    NotText,
}

impl Secret {
    /// The content of a secret's file, without one line end, which editors and `echo` append.
    ///
    /// # Errors
    /// [`SecretError`], which never contains the text.
    pub fn from_file_content(content: &[u8]) -> Result<Self, SecretError> {
        let text = std::str::from_utf8(content).map_err(|_| SecretError::NotText)?;
        let text = text.strip_suffix('\n').map_or(text, |line| line.strip_suffix('\r').unwrap_or(line));
        match text {
            "" => Err(SecretError::Empty),
            text if text.contains('\0') => Err(SecretError::ZeroByte),
            text => Ok(Self(text.into())),
        }
    }

    /// The text itself. Only for the call that sends it, never for a message.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(secret)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_gives_its_text_without_one_line_end() {
        for (content, text) in
            [("pass", "pass"), ("pass\n", "pass"), ("pass\r\n", "pass"), ("pass\n\n", "pass\n"), (" p ss ", " p ss "), ("p\r", "p\r")]
        {
            assert_eq!(Secret::from_file_content(content.as_bytes()).unwrap().expose(), text);
        }
        for (content, why) in
            [(&b""[..], SecretError::Empty), (b"\n", SecretError::Empty), (b"a\0b", SecretError::ZeroByte), (b"\xff", SecretError::NotText)]
        {
            assert_eq!(Secret::from_file_content(content).unwrap_err(), why);
        }
    }

    #[test]
    fn nothing_is_shown() {
        let secret = Secret::from_file_content(b"hunter2").unwrap();
        assert_eq!(format!("{secret:?} {:#?}", Some(&secret)), "(secret) Some(\n    (secret),\n)");
    }
}
