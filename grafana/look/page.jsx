// The page that look.js takes a picture of: each panel of a dashboard where its grid says, drawn by Grafana's components.

import React from "react";
import { createRoot } from "react-dom/client";
import {
    FieldType, applyFieldOverrides, createTheme, dateTime, getDisplayProcessor, standardFieldConfigEditorRegistry, toDataFrame,
} from "@grafana/data";
import { BigValue, BigValueColorMode, BigValueGraphMode, BigValueTextMode, GlobalStyles, ThemeContext, TimeSeries } from "@grafana/ui";

const COLUMN = 70;
const ROW = 38;
const theme = createTheme({ colors: { mode: "dark" } });
// Overrides by editors are none of ours: the registry stays empty.
standardFieldConfigEditorRegistry.setInit(() => []);

/** A query of a panel with its variables replaced: everything that there is, and windows of four scrapes. */
const replaced = (expr, seconds) =>
    expr.replaceAll("$__rate_interval", "20s").replaceAll("$__interval", "10s").replaceAll("$__range", `${seconds}s`).replaceAll("$instance", ".*");

const legend = (pattern, labels) => (pattern || "value").replace(/{{\s*(\w+)\s*}}/g, (_, name) => labels[name] ?? "");

/** The series of a query, as frames. What is no number is a gap. */
async function frames(target, range, table) {
    const query = replaced(target.expr, range.to - range.from);
    const window = { query, start: range.from, end: range.to, step: Math.max(2, Math.round((range.to - range.from) / 300)) };
    const path = table ? `/api/v1/query?${new URLSearchParams({ query })}` : `/api/v1/query_range?${new URLSearchParams(window)}`;
    const answer = await (await fetch(path)).json();
    if (answer.status !== "success") throw new Error(answer.error);
    if (table) return answer.data.result.map((series) => ({ ...series.metric, Value: Number(series.value[1]) }));
    return answer.data.result.map((series) =>
        toDataFrame({
            fields: [
                { name: "Time", type: FieldType.time, values: series.values.map(([at]) => at * 1000) },
                {
                    name: legend(target.legendFormat, series.metric),
                    type: FieldType.number,
                    values: series.values.map(([, value]) => (Number.isFinite(Number(value)) ? Number(value) : null)),
                },
            ],
        }),
    );
}

/** Field settings of the dashboard, put on the numbers of the frames as Grafana does. */
function dressed(all, panel) {
    const { defaults } = panel.fieldConfig;
    const data = applyFieldOverrides({ data: all, fieldConfig: panel.fieldConfig, replaceVariables: (text) => text, theme, timeZone: "utc" });
    let index = 0;
    for (const frame of data)
        for (const field of frame.fields.filter((one) => one.type === FieldType.number)) {
            field.config = { ...field.config, ...defaults, custom: { lineInterpolation: "linear", ...defaults.custom } };
            field.state = { ...field.state, seriesIndex: index++ };
            field.display = getDisplayProcessor({ field, theme, timeZone: "utc" });
        }
    return data;
}

function Lines({ data, range, width, height }) {
    const timeRange = { from: dateTime(range.from * 1000), to: dateTime(range.to * 1000), raw: { from: "now-30m", to: "now" } };
    const list = { showLegend: true, displayMode: "list", placement: "bottom", calcs: [] };
    return <TimeSeries frames={data} timeRange={timeRange} timeZone="utc" width={width} height={height} legend={list} theme={theme} />;
}

function Stats({ data, width, height }) {
    return (
        <div style={{ display: "flex", gap: 4 }}>
            {data.map((frame, at) => {
                const field = frame.fields.find((one) => one.type === FieldType.number);
                const last = field.values.findLast((value) => value !== null) ?? null;
                const value = { ...field.display(last), title: data.length > 1 ? field.name : undefined };
                const modes = { colorMode: BigValueColorMode.Value, graphMode: BigValueGraphMode.None, textMode: BigValueTextMode.Auto };
                return <BigValue key={at} count={data.length} theme={theme} value={value} width={width / data.length - 4} height={height} {...modes} />;
            })}
        </div>
    );
}

/** A table in plain HTML: Grafana's own component needs the whole application around it. */
function Rows({ rows, height }) {
    const names = [...new Set(rows.flatMap((row) => Object.keys(row)))].filter((name) => name !== "__name__");
    const cell = { textAlign: "left", padding: "4px 16px 4px 0", borderBottom: `1px solid ${theme.colors.border.weak}` };
    return (
        <div style={{ height, overflow: "hidden" }}>
            <table style={{ fontSize: 13 }}>
                <thead><tr>{names.map((name) => <th key={name} style={cell}>{name}</th>)}</tr></thead>
                <tbody>{rows.map((row, at) => <tr key={at}>{names.map((name) => <td key={name} style={cell}>{row[name] ?? ""}</td>)}</tr>)}</tbody>
            </table>
        </div>
    );
}

function Panel({ panel, range }) {
    const [body, setBody] = React.useState("…");
    const { x, y, w, h } = panel.gridPos;
    const [width, height] = [w * COLUMN - 8, h * ROW - 8];
    React.useEffect(() => {
        const size = { width: width - 18, height: height - 44 };
        const draw = async () => {
            const table = panel.type === "table";
            const all = (await Promise.all(panel.targets.map((target) => frames(target, range, table)))).flat();
            if (all.length === 0) return "No data";
            if (table) return <Rows rows={all} height={size.height} />;
            const data = dressed(all, panel);
            return panel.type === "stat" ? <Stats data={data} {...size} /> : <Lines data={data} range={range} {...size} />;
        };
        draw().then(setBody, (error) => setBody(String(error)));
    }, []);
    const place = { position: "absolute", left: x * COLUMN + 8, top: y * ROW + 8, width, height, boxSizing: "border-box", overflow: "hidden" };
    const look = { background: theme.colors.background.primary, border: `1px solid ${theme.colors.border.weak}`, padding: 8 };
    return (
        <div style={{ ...place, ...look }}>
            <div style={{ fontSize: 14, fontWeight: 500, marginBottom: 6 }}>{panel.title}</div>
            {body}
        </div>
    );
}

const { dashboard, seconds } = await (await fetch("dashboard.json")).json();
const to = Math.floor(Date.now() / 1000);
const range = { from: to - seconds, to };
createRoot(document.getElementById("root")).render(
    <ThemeContext.Provider value={theme}>
        <GlobalStyles />
        {dashboard.panels.map((panel) =>
            panel.type === "row" ? (
                <div key={panel.id} style={{ position: "absolute", left: 12, top: panel.gridPos.y * ROW + 14, fontSize: 17 }}>{panel.title}</div>
            ) : (
                <Panel key={panel.id} panel={panel} range={range} />
            ),
        )}
    </ThemeContext.Provider>,
);
