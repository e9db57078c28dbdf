import { FieldType, toDataFrame, dateTime } from '@grafana/data';
const q = new URLSearchParams(location.search);
export const option = (k, d) => q.get(k) ?? d;
export const to = Number(option('to', Date.now()));
export const span = Number(option('span', 900)) * 1000; // ms
export const scrape = Number(option('scrape', 5)); // s
export const range = {
  from: dateTime(to - span),
  to: dateTime(to),
  raw: { from: `now-${span / 1000}s`, to: 'now' },
};
const api = '/api/v1/';
export const vars = { job: '.+', instance: '.+', group: '.+', trend: option('trend', '5m') };
// readConstants sets the constants of the dashboard, and the variables that the address gives.
export function readConstants(dashboard) {
  for (const v of dashboard.templating.list) {
    if (v.type === 'constant') vars[v.name] = v.query;
    if (['query', 'interval'].includes(v.type) && option('var-' + v.name))
      vars[v.name] = option('var-' + v.name);
  }
}
export function interpolate(text, extra = {}) {
  if (typeof text !== 'string') return text;
  const all = { ...vars, ...extra };
  return text.replace(/\$\{(\w+)(?::\w+)?\}|\$(\w+)/g, (m, a, b) => all[a ?? b] ?? m);
}
const legend = (fmt, labels) => fmt.replace(/\{\{\s*(.+?)\s*\}\}/g, (_, k) => labels[k] ?? '');
const num = (s) => (s === '+Inf' ? Infinity : s === '-Inf' ? -Infinity : Number(s));
async function get(path, form) {
  const r = await fetch(api + path + '?' + new URLSearchParams(form));
  const j = await r.json();
  if (j.status !== 'success') throw new Error(`${j.errorType}: ${j.error}`);
  return j.data.result;
}
const NICE = [1, 5, 10, 15, 20, 30, 60, 120, 300, 600, 900, 1800, 3600];
// ask answers with the data frames that Grafana's Prometheus data source makes of a target.
export async function ask(target, width, several) {
  const step = Math.max(
    scrape,
    { '1m': 60 }[target.interval ?? target.step] ?? 0,
    NICE.find((n) => n >= span / 1000 / width) ?? 3600,
  );
  const extra = {
    __rate_interval: Math.max(step + scrape, 4 * scrape) + 's',
    __interval: step + 's',
    __range: span / 1000 + 's',
  };
  const expr = interpolate(target.expr, extra);
  let result;
  if (target.instant) {
    result = (await get('query', { query: expr, time: to / 1000 })).map((s) => ({
      metric: s.metric,
      values: [s.value],
    }));
  } else {
    const start = Math.floor((to - span) / 1000 / step) * step,
      end = Math.floor(to / 1000 / step) * step;
    result = await get('query_range', { query: expr, start, end, step });
    result = result.map((s) => {
      // no sample: null, so that lines break
      const at = new Map(s.values),
        values = [];
      for (let t = start; t <= end; t += step) values.push([t, at.get(t) ?? null]);
      return { metric: s.metric, values };
    });
  }
  const samples = result.reduce((n, s) => n + s.values.filter((v) => v[1] !== null).length, 0);
  if (target.format === 'table') {
    const labels = [...new Set(result.flatMap((s) => Object.keys(s.metric)))].sort();
    const fields = [
      { name: 'Time', type: FieldType.time, values: result.map((s) => s.values.at(-1)[0] * 1000) },
      ...labels.map((l) => ({
        name: l,
        type: FieldType.string,
        config: { filterable: true },
        values: result.map((s) => s.metric[l] ?? ''),
      })),
      {
        name: several ? `Value #${target.refId}` : 'Value',
        type: FieldType.number,
        values: result.map((s) => num(s.values.at(-1)[1])),
      },
    ];
    return { samples, frames: result.length ? [toDataFrame({ refId: target.refId, fields })] : [] };
  }
  return {
    samples,
    frames: result.map((s) => {
      const name =
        target.legendFormat && target.legendFormat !== '__auto'
          ? legend(target.legendFormat, s.metric)
          : expr.length < 60
            ? expr
            : 'Value';
      return toDataFrame({
        refId: target.refId,
        name,
        fields: [
          {
            name: 'Time',
            type: FieldType.time,
            config: { interval: step * 1000 },
            values: s.values.map((v) => v[0] * 1000),
          },
          {
            name: 'Value',
            type: FieldType.number,
            labels: s.metric,
            config: { displayNameFromDS: name },
            values: s.values.map((v) => (v[1] === null ? null : num(v[1]))),
          },
        ],
      });
    }),
  };
}
export async function annotations(list) {
  const out = [];
  for (const a of list) {
    if (!a.expr || !a.enable) continue;
    try {
      const { frames } = await ask({ ...a, refId: 'Anno' }, 100);
      for (const f of frames)
        f.fields[1].values.forEach((v, i) => {
          if (v === null || v === 0) return;
          const time = a.useValueForTime ? v : f.fields[0].values[i];
          if (time >= to - span && time <= to) out.push({ time, color: a.iconColor });
        });
    } catch (e) {
      console.error('annotation', a.name, e);
    }
  }
  const seen = new Set();
  return out.filter(
    (x) =>
      !seen.has(x.color + Math.round(x.time / 1000)) &&
      seen.add(x.color + Math.round(x.time / 1000)),
  );
}
