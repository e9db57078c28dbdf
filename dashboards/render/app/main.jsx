import '@fontsource/inter/latin-400.css';
import '@fontsource/inter/latin-500.css';
import { useEffect, useLayoutEffect, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { lastValueFrom } from 'rxjs';
import * as D from '@grafana/data';
import { ThemeContext, PanelChrome, TimeSeries, BigValue } from '@grafana/ui';
import { GlobalStyles } from '@gui/themes/GlobalStyles/GlobalStyles.mjs';
import { TableNG } from '@gui/components/Table/TableNG/TableNG.mjs';
import { initPluginTranslations } from '@grafana/i18n';
// The dashboard drawn by Grafana's own published components. What is not published, variables, the
// way from a query to data frames, annotations, the grid, heatmaps and state timelines, is here.
const dashboard = await (
  await fetch(new URLSearchParams(location.search).get('dashboard') ?? 'closewait.json')
).json();
import {
  option,
  range,
  to,
  span,
  vars,
  readConstants,
  interpolate,
  ask,
  annotations,
} from './data.js';

const theme = D.createTheme({ colors: { mode: option('theme', 'light') } });
const processors = {
  thresholds: D.thresholdsOverrideProcessor,
  mappings: D.valueMappingsOverrideProcessor,
  displayName: D.displayNameOverrideProcessor,
  unit: D.unitOverrideProcessor,
  min: D.numberOverrideProcessor,
  max: D.numberOverrideProcessor,
  decimals: D.numberOverrideProcessor,
  links: D.dataLinksOverrideProcessor,
};
const item = (id) => ({
  id,
  path: id.replace(/^custom\./, ''),
  isCustom: id.startsWith('custom.'),
  name: id,
  settings: {},
  defaultValue: undefined,
  shouldApply: () => true,
  process: processors[id] ?? D.identityOverrideProcessor,
  override: () => null,
  editor: () => null,
});
const registry = {
  getIfExists: item,
  get: item,
  list: () =>
    [
      'unit',
      'min',
      'max',
      'decimals',
      'displayName',
      'noValue',
      'color',
      'thresholds',
      'mappings',
      'links',
    ].map(item),
};
D.standardTransformersRegistry.setInit(() =>
  [...new Map(Object.values(D.standardTransformers).map((t) => [t.id, t])).values()].map((t) => ({
    id: t.id,
    name: t.name,
    transformation: async () => t,
    aliasIds: [],
    editor: () => null,
  })),
);
D.standardFieldConfigEditorRegistry.setInit(() => registry.list());

// registryOf lists the custom settings of a panel too: fills and stacking would vanish otherwise.
const registryOf = (panel) => {
  const custom = Object.keys(panel.fieldConfig?.defaults?.custom ?? {}).map((k) =>
    item('custom.' + k),
  );
  return { ...registry, list: () => [...registry.list(), ...custom] };
};
async function load(panel, width) {
  const targets = (panel.targets ?? []).filter((t) => !t.hide);
  const answers = await Promise.all(targets.map((t) => ask(t, width, targets.length > 1)));
  let frames = answers.flatMap((a) => a.frames);
  const empty = targets.filter((t, i) => answers[i].samples === 0).map((t) => t.refId);
  const ctx = { interpolate: (v) => interpolate(v) };
  if (panel.transformations?.length)
    frames = await lastValueFrom(D.transformDataFrame(panel.transformations, frames, ctx));
  frames = D.applyFieldOverrides({
    data: frames,
    fieldConfig: panel.fieldConfig ?? { defaults: {}, overrides: [] },
    fieldConfigRegistry: registryOf(panel),
    replaceVariables: (v, scoped) => interpolate(v),
    theme,
    timeZone: 'utc',
  });
  D.cacheFieldDisplayNames(frames);
  return { frames, empty, targets: targets.length };
}

const noData = (panel) => panel.fieldConfig?.defaults?.noValue ?? 'No data';
const Empty = ({ panel, h }) => (
  <div
    className="nodata"
    style={{
      display: 'grid',
      placeItems: 'center',
      height: h,
      color: theme.colors.text.secondary,
      fontSize: 18,
    }}
  >
    {noData(panel)}
  </div>
);

function Marks({ builder, marks }) {
  useLayoutEffect(() => {
    builder.addHook('draw', (u) => {
      const c = u.ctx;
      c.save();
      c.setLineDash([4, 4]);
      c.lineWidth = devicePixelRatio;
      for (const m of marks) {
        const x = u.valToPos(m.time, 'x', true);
        c.strokeStyle = theme.visualization.getColorByName(m.color);
        c.beginPath();
        c.moveTo(x, u.bbox.top);
        c.lineTo(x, u.bbox.top + u.bbox.height);
        c.stroke();
      }
      c.restore();
    });
  }, [builder]);
  return null;
}
function Timeseries({ panel, data, w, h, marks }) {
  if (!data.frames.length) return <Empty panel={panel} h={h} />;
  return (
    <TimeSeries
      frames={data.frames}
      width={w}
      height={h}
      timeRange={range}
      timeZone="utc"
      legend={panel.options.legend}
      options={panel.options}
    >
      {(builder) => <Marks builder={builder} marks={marks} />}
    </TimeSeries>
  );
}
function Stat({ panel, data, w, h }) {
  const o = panel.options;
  const values = data.frames.length
    ? D.getFieldDisplayValues({
        fieldConfig: panel.fieldConfig,
        reduceOptions: o.reduceOptions,
        replaceVariables: (v) => interpolate(v),
        theme,
        data: data.frames,
        timeZone: 'utc',
      })
    : [];
  if (!values.length)
    return (
      <BigValue
        width={w}
        height={h}
        value={{ text: noData(panel), numeric: NaN, color: theme.colors.text.primary }}
        colorMode={o.colorMode}
        graphMode="none"
        textMode="value"
        theme={theme}
      />
    );
  const each = w / values.length;
  return (
    <div style={{ display: 'flex' }}>
      {values.map((v, i) => (
        <BigValue
          key={i}
          width={each}
          height={h}
          value={v.display}
          colorMode={o.colorMode}
          graphMode={o.graphMode}
          justifyMode={o.justifyMode}
          textMode={o.textMode}
          count={values.length}
          theme={theme}
        />
      ))}
    </div>
  );
}
function Table({ panel, data, w, h }) {
  const frame = data.frames[0];
  if (!frame || !frame.length) return <Empty panel={panel} h={h} />;
  return (
    <TableNG
      data={frame}
      width={w}
      height={h}
      sortBy={panel.options.sortBy}
      cellHeight={panel.options.cellHeight}
      noHeader={!panel.options.showHeader}
      fieldConfig={panel.fieldConfig}
      enableVirtualization={false}
      timeRange={range}
    />
  );
}
const timeAxis = (left, w, h, to, span) =>
  [0.1, 0.3, 0.5, 0.7, 0.9].map((p) => (
    <text
      key={p}
      x={left + (w - left) * p}
      y={h - 6}
      textAnchor="middle"
      fontSize="11"
      fill={theme.colors.text.secondary}
    >
      {D.dateTimeFormat(to - span + span * p, { format: 'HH:mm', timeZone: 'utc' })}
    </text>
  ));

// The two that Grafana publishes no component of.
function StateTimeline({ panel, data, w, h }) {
  if (!data.frames.length) return <Empty panel={panel} h={h} />;
  const left = 140,
    foot = 22,
    rows = data.frames,
    rh = (h - foot) / rows.length,
    x = (t) => left + ((w - left - 8) * (t - (to - span))) / span;
  return (
    <svg width={w} height={h}>
      {rows.map((f, r) => {
        const v = f.fields[1],
          t = f.fields[0].values,
          out = [];
        for (let i = 0; i < t.length; i++) {
          if (v.values[i] === null) continue;
          let j = i;
          while (j + 1 < t.length && v.values[j + 1] === v.values[i]) j++;
          const d = v.display(v.values[i]);
          out.push(
            <rect
              key={i}
              x={x(t[i])}
              width={Math.max(1, x(t[Math.min(j + 1, t.length - 1)]) - x(t[i]))}
              y={r * rh + rh * 0.1}
              height={rh * 0.8}
              fill={d.color}
              fillOpacity=".7"
            />,
          );
          i = j;
        }
        return (
          <g key={r}>
            <text
              x={left - 8}
              y={r * rh + rh / 2 + 4}
              textAnchor="end"
              fontSize="12"
              fill={theme.colors.text.primary}
            >
              {D.getFieldDisplayName(v, f, rows)}
            </text>
            {out}
          </g>
        );
      })}
      {timeAxis(left, w, h, to, span)}
    </svg>
  );
}
function Heatmap({ panel, data, w, h }) {
  if (!data.frames.length) return <Empty panel={panel} h={h} />;
  const le = (f) => {
    const l = f.fields[1].labels.le;
    return l === '+Inf' ? Infinity : Number(l);
  };
  const rows = [...data.frames].sort((a, b) => le(a) - le(b)),
    left = 60,
    foot = 22,
    rh = (h - foot) / rows.length;
  const cells = [];
  let most = 0;
  rows.forEach((f, r) =>
    f.fields[1].values.forEach((v, i) => {
      const n = v - (r ? (rows[r - 1].fields[1].values[i] ?? 0) : 0);
      if (n > 0) {
        most = Math.max(most, n);
        cells.push([r, f.fields[0].values[i], n]);
      }
    }),
  );
  const x = (t) => left + ((w - left - 8) * (t - (to - span))) / span,
    cw = ((w - left) * rows[0].fields[0].config.interval) / span;
  const fmt = D.getValueFormat('s');
  return (
    <svg width={w} height={h}>
      {cells.map(([r, t, n], i) => (
        <rect
          key={i}
          x={x(t)}
          width={cw + 0.3}
          y={h - foot - (r + 1) * rh}
          height={rh - 1}
          fill={`hsl(24 95% ${94 - 60 * Math.sqrt(n / most)}%)`}
        />
      ))}
      {rows.map((f, r) => (
        <text
          key={r}
          x={left - 6}
          y={h - foot - (r + 0.5) * rh + 4}
          textAnchor="end"
          fontSize="11"
          fill={theme.colors.text.secondary}
        >
          {le(f) === Infinity ? 'more' : D.formattedValueToString(fmt(le(f)))}
        </text>
      ))}
      {timeAxis(left, w, h, to, span)}
    </svg>
  );
}
const Text = ({ panel }) => (
  <div
    className="markdown-html"
    style={{ padding: 8 }}
    dangerouslySetInnerHTML={{ __html: D.renderMarkdown(interpolate(panel.options.content)) }}
  />
);
const kinds = {
  timeseries: Timeseries,
  stat: Stat,
  table: Table,
  'state-timeline': StateTimeline,
  heatmap: Heatmap,
  text: Text,
};

const unit = 38,
  wide = Number(option('width', 1600)) - 32;
function place(p, dy = 0) {
  const g = p.gridPos,
    c = (wide + 8) / 24;
  return { left: g.x * c, top: (g.y + dy) * unit, width: g.w * c - 8, height: g.h * unit - 8 };
}
function Panel({ panel, data, marks }) {
  const Kind = kinds[panel.type],
    p = place(panel);
  return (
    <div data-panel={panel.id} style={{ position: 'absolute', ...p }}>
      <PanelChrome
        title={panel.title}
        description={panel.description}
        width={p.width}
        height={p.height}
        padding={panel.type === 'table' ? 'none' : 'md'}
      >
        {(w, h) =>
          data.error ? (
            <pre style={{ color: 'red', whiteSpace: 'pre-wrap' }}>{String(data.error)}</pre>
          ) : Kind ? (
            <Kind panel={panel} data={data} w={w} h={h} marks={marks} />
          ) : (
            <b>no such kind: {panel.type}</b>
          )
        }
      </PanelChrome>
    </div>
  );
}
function Head() {
  return (
    <div style={{ display: 'flex', alignItems: 'center', gap: 12, padding: '0 0 12px' }}>
      <h2 style={{ margin: 0, flex: 1, fontSize: 20 }}>{dashboard.title}</h2>
      {dashboard.templating.list
        .filter((v) => v.hide !== 2)
        .map((v) => (
          <span
            key={v.name}
            style={{
              fontSize: 12,
              border: `1px solid ${theme.colors.border.medium}`,
              borderRadius: 2,
            }}
          >
            <span
              style={{
                padding: '4px 8px',
                background: theme.colors.background.secondary,
                display: 'inline-block',
              }}
            >
              {v.label}
            </span>
            <span style={{ padding: '4px 8px', display: 'inline-block' }}>
              {v.type === 'datasource'
                ? 'Prometheus'
                : vars[v.name] === '.+'
                  ? 'All'
                  : vars[v.name]}
            </span>
          </span>
        ))}
      <span style={{ fontSize: 12 }}>Last {span / 60000} minutes</span>
    </div>
  );
}
function App({ all, data, marks }) {
  const height = Math.max(...all.map((p) => p.gridPos.y + p.gridPos.h)) * unit;
  return (
    <div style={{ padding: 16, width: wide + 32, background: theme.colors.background.canvas }}>
      <Head />
      <div style={{ position: 'relative', height }}>
        {all.map((p) =>
          p.type === 'row' ? (
            <div
              key={p.id}
              style={{
                position: 'absolute',
                ...place(p),
                fontSize: 16,
                fontWeight: 500,
                paddingTop: 4,
              }}
            >
              ⌄ {p.title}
            </div>
          ) : (
            <Panel key={p.id} panel={p} data={data[p.id]} marks={marks} />
          ),
        )}
      </div>
    </div>
  );
}
async function start() {
  readConstants(dashboard);
  await initPluginTranslations('render');
  let all = dashboard.panels.flatMap((p) => [p, ...(p.panels ?? [])]);
  if (option('only')) {
    const ids = option('only').split(',').map(Number);
    all = all.filter((p) => ids.includes(p.id));
    const top = Math.min(...all.map((p) => p.gridPos.y));
    all = all.map((p) => ({ ...p, gridPos: { ...p.gridPos, y: p.gridPos.y - top } }));
  }
  const data = {};
  await Promise.all(
    all
      .filter((p) => p.type !== 'row')
      .map(async (p) => {
        try {
          data[p.id] = await load(p, place(p).width);
        } catch (e) {
          data[p.id] = { error: e, frames: [], empty: [] };
        }
      }),
  );
  await Promise.all([document.fonts.load('400 12px Inter'), document.fonts.load('500 14px Inter')]);
  const marks = await annotations(dashboard.annotations.list);
  createRoot(document.getElementById('root'), {
    onUncaughtError: (e) => {
      document.title = 'broken: ' + e;
      console.error('UNCAUGHT ' + (e?.stack ?? e));
    },
  }).render(
    <ThemeContext.Provider value={theme}>
      <GlobalStyles isExtensionSidebarOpen={false} hackNoBackdropBlur />
      <App all={all} data={data} marks={marks} />
    </ThemeContext.Provider>,
  );
  const ready = () =>
    all.every((p) => {
      const el = document.querySelector(`[data-panel="${p.id}"]`);
      const d = data[p.id];
      return (
        p.type === 'row' ||
        d.error ||
        !d.frames.length ||
        (p.type === 'timeseries'
          ? el?.querySelector('.u-over')
          : p.type === 'table'
            ? el?.querySelector('[role=gridcell]')
            : true)
      );
    });
  const began = performance.now();
  const finish = () => {
    if (!ready() && performance.now() - began < 12000) return setTimeout(finish, 100);
    const report = all
      .filter((p) => p.type !== 'row')
      .map((p) => {
        const el = document.querySelector(`[data-panel="${p.id}"]`),
          d = data[p.id];
        const grid = el?.querySelector('[role=grid]'),
          u = el?.querySelector('.u-over');
        const inked = [...(el?.querySelectorAll('canvas') ?? [])].some((c) => {
          try {
            return c
              .getContext('2d')
              .getImageData(0, 0, c.width, c.height)
              .data.some((x) => x);
          } catch {
            return false;
          }
        });
        const text = el?.querySelector('.markdown-html'),
          view = text?.parentElement;
        return {
          id: p.id,
          title: p.title,
          type: p.type,
          frames: d.frames.length,
          rows: d.frames[0]?.length,
          empty: d.empty,
          error: d.error && String(d.error),
          plotted: !!u,
          inked,
          svg: el?.querySelectorAll('svg rect').length,
          cutColumns:
            grid && grid.scrollWidth > grid.clientWidth + 1
              ? grid.scrollWidth - grid.clientWidth
              : undefined,
          cutText:
            text && text.getBoundingClientRect().bottom > el.getBoundingClientRect().bottom
              ? Math.round(text.getBoundingClientRect().bottom - el.getBoundingClientRect().bottom)
              : undefined,
          cells: [...(el?.querySelectorAll('[role=gridcell]') ?? [])].map((c) =>
            c.textContent.trim(),
          ),
          says: el?.innerText.replace(/\s+/g, ' ').slice(0, 400),
        };
      });
    window.report = report;
    document.title = document.title === 'loading' ? 'drawn' : document.title;
  };
  setTimeout(finish, 300);
}
start().catch((e) => {
  document.title = 'broken: ' + e;
  console.error(e?.stack ?? e);
});
