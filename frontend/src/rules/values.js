// The editor behind an operator, by the shape of its value. `at` is the line being edited:
// { line, op, field, words, set(value), ask(field, text, more) }.
import { Combobox, chips } from './combobox.js';
import { fill, h, input, select } from './dom.js';
import { matching } from './source.js';

const number = (text) => (text === '' ? '' : Number(text));
const count = (text) => Math.max(1, Math.round(Number(text)) || 1);
const isObject = (value) => Boolean(value) && typeof value === 'object' && !Array.isArray(value);
const label = (at, text) => `${at.field?.label ?? at.line.field}: ${text}`;

const OPTIONAL = ['behavior', 'optional_texts', 'suppressed', 'consent', 'follow_up'];

const SHAPES = {
  nothing: () => null,
  text, texts, optional_texts: texts, segments: texts,
  topics: parts, suppressed: parts, consent: parts, follow_up: parts, behavior: parts, activity: parts,
  number: (at) => input('number', at.line.value, label(at, at.words.text.value), (value) => at.set(number(value))),
  numbers: (at) => pair(at, 'number', at.line.value, at.set),
  day: (at) => input('date', at.line.value, label(at, at.words.text.value), at.set),
  days: (at) => pair(at, 'date', at.line.value, at.set),
  period: (at) => relative(at, at.line.op, isObject(at.line.value) ? at.line.value : (at.line.value = { n: 1, unit: 'month' }), at.set),
  any_period: (at) => period(at, isObject(at.line.value) ? at.line.value : null, at.set),
};

export function valueEditor(at) {
  const made = (SHAPES[at.op.value] ?? json)(at);
  return made === null ? null : h('div', { class: 'rule-value', 'data-part': 'value' }, made);
}

// What a line has before anybody chose a value.
export function firstValue(shape, preset) {
  if (shape === 'period') return { n: 1, unit: 'month' };
  if (shape === 'activity') return { ...(preset ?? {}) };
  if (OPTIONAL.includes(shape)) return {};
  return shape === 'nothing' ? undefined : '';
}

// Whether the server takes the line for one without value, which is switched off.
export function isWithoutValue(line, shape) {
  if (shape === 'nothing' || OPTIONAL.includes(shape)) return false;
  const { value } = line;
  if (shape === 'activity') return !value || (isObject(value) && !value.kind);
  return value === undefined || value === null || value === '' || (Array.isArray(value) && !value.length) || (isObject(value) && !Object.keys(value).length);
}

function text(at) {
  const { line, field, words } = at;
  if (!field?.values || !['equals', 'not_equals', 'is_exactly', 'is_not_exactly'].includes(line.op)) {
    return input('text', line.value, label(at, words.text.value), at.set, { placeholder: words.text.type_text });
  }
  const nameOf = names(at);
  return new Combobox({
    label: label(at, words.text.value), placeholder: words.text.choose_or_type, texts: words.text, isRemote: true, free: !field.choices,
    shown: () => nameOf(line.value ?? ''), list: (typed) => at.ask(line.field, typed),
    isChosen: (value) => value === line.value, pick: (item) => at.set(item.value),
    typed: field.choices ? undefined : at.set,
  }).box;
}

function texts(at) {
  const { line, field, words } = at;
  const values = [].concat(line.value ?? []).filter((value) => value !== '' && value !== true);
  const nameOf = names(at);
  return chips({
    values, labelOf: nameOf, label: label(at, words.text.values), texts: words.text, isRemote: Boolean(field?.values),
    placeholder: at.op.value === 'optional_texts' ? words.text.any_reason : field?.choices ? words.text.choose : words.text.choose_or_type,
    free: !field?.choices, list: (typed) => (field?.values ? at.ask(line.field, typed) : { items: [] }),
    change: (kept) => at.set(kept.length ? [...kept] : ''),
  });
}

const names = (at) => (value) => (at.field?.choices ?? []).find((choice) => choice.value === value)?.label ?? String(value);

function pair(at, type, shown, set) {
  const { text: words } = at.words;
  const sides = Array.isArray(shown) ? [...shown] : ['', ''];
  const keep = (index, value) => {
    sides[index] = type === 'date' ? value : number(value);
    set(sides.some((side) => side === '') ? '' : [...sides]);
  };
  return h('div', { class: 'rule-pair' },
    input(type, sides[0], label(at, words.from), (value) => keep(0, value)), h('span', { class: 'sub' }, words.and),
    input(type, sides[1], label(at, words.to), (value) => keep(1, value)));
}

// "6 months": the words of the operator say whether they are past or coming. "This month" counts nothing.
function relative(at, op, value, set) {
  const { words } = at;
  const kept = { ...value };
  const keep = () => set({ ...kept });
  return h('div', { class: 'rule-pair' },
    op === 'this' ? null : input('number', kept.n ?? 1, label(at, words.text.how_many), (text) => { kept.n = count(text); keep(); }, { min: 1, max: 1200, step: 1, class: 'form-control rule-short' }),
    select(words.units.map((unit) => (op === 'this' ? { value: unit.value, label: unit.one } : unit)), kept.unit ?? 'month', label(at, words.text.unit), (unit) => { kept.unit = unit; keep(); }));
}

// Any period of the calendar: { op, n, unit } or { op, value }; null is "any time" where that is allowed.
function period(at, value, set, none = '') {
  const { words } = at;
  const box = h('div', { class: 'rule-pair' });
  let kept = value ? { ...value } : null;
  const keep = (next) => { kept = next; set(next); };
  const draw = () => {
    const shape = words.periods.find((one) => one.value === kept?.op)?.shape;
    const first = { value: '', label: none || words.text.choose_period };
    const list = select([first, ...words.periods], kept?.op ?? '', label(at, words.text.period), (op) => {
      const next = words.periods.find((one) => one.value === op)?.shape;
      if (!op) keep(null);
      else if (next === 'relative') keep({ op, ...(op === 'this' ? {} : { n: kept?.n ?? 6 }), unit: kept?.unit ?? 'month' });
      else keep(next === 'nothing' ? { op } : { op, value: '' });
      draw();
      box.querySelector('select').focus();
    });
    const more = shape === 'relative' ? relative(at, kept.op, kept, keep)
      : shape === 'day' ? input('date', kept.value, label(at, words.text.day), (day) => keep({ op: kept.op, value: day }))
        : shape === 'days' ? pair(at, 'date', kept.value, (days) => keep({ op: kept.op, value: days })) : null;
    box.replaceChildren(...[list, more].filter(Boolean));
  };
  draw();
  return box;
}

// ---- values of several parts: the words say which parts a field has and how each is edited

const isEmpty = (value) => value === undefined || value === null || value === '' || value === false || (Array.isArray(value) && !value.length);

function parts(at) {
  const listed = at.field?.parts ?? [];
  const main = listed.find((one) => one.is_main)?.name;
  const value = readParts(at.line.value, main);
  const keep = (name, kept) => {
    if (isEmpty(kept)) delete value[name]; else value[name] = kept;
    const names = Object.keys(value);
    at.set(main && names.every((one) => one === main) ? value[main] ?? '' : { ...value });
  };
  const draw = (one) => {
    const made = PARTS[one.editor](at, one, value, keep);
    return one.editor === 'flag' ? made : h('div', { class: `rule-part rule-part-${one.editor}` }, h('span', { class: 'rule-part-name' }, one.label), made);
  };
  const shown = listed.filter((one) => !(at.field.preset && one.name in at.field.preset));
  const rare = shown.filter((one) => one.is_rare && isEmpty(value[one.name]));
  const box = h('div', { class: 'rule-parts' }, shown.filter((one) => !rare.includes(one)).map(draw));
  if (rare.length) {
    const more = h('button', { type: 'button', class: 'btn btn-sm rule-more', onclick: () => {
      const made = rare.map(draw);
      more.before(...made);
      more.remove();
      made[0].querySelector('input, select')?.focus();
    } }, at.words.text.more);
    box.append(more);
  }
  return box;
}

function readParts(value, main) {
  if (isObject(value)) {
    const { at_least: times, ...kept } = value;
    return times === undefined ? kept : { count: { op: '>=', value: times }, ...kept };
  }
  return main && !isEmpty(value) ? { [main]: value } : {};
}

const PARTS = {
  period: (at, one, value, keep) => period(at, isObject(value[one.name]) ? value[one.name] : null, (kept) => keep(one.name, kept), one.none),
  test: (at, one, value, keep) => comparison(at, one.label, value[one.name], (kept) => keep(one.name, kept), one.none),
  choice: (at, one, value, keep) => select([{ value: '', label: one.none }, ...one.options], value[one.name] ?? '', label(at, one.label), (kept) => keep(one.name, kept)),
  choices: (at, one, value, keep) => chips({
    values: [].concat(value[one.name] ?? []), label: label(at, one.label), texts: at.words.text, placeholder: one.none,
    labelOf: (kept) => one.options.find((option) => option.value === kept)?.label ?? String(kept),
    isRemote: Boolean(one.source),
    list: async (typed) => (one.source ? at.ask(one.source, typed) : { items: matching(one.options, typed) }),
    change: (kept) => keep(one.name, [...kept]),
  }),
  campaigns: (at, one, value, keep) => chips({
    values: [].concat(value[one.name] ?? []), label: label(at, one.label), texts: at.words.text, placeholder: one.none, isRemote: true,
    labelOf: (kept) => at.words.campaigns[kept] ?? String(kept),
    learn: (item) => { at.words.campaigns[item.value] = item.label; },
    list: (typed) => at.ask('campaign', typed),
    change: (kept) => keep(one.name, kept.length === 1 ? kept[0] : [...kept]),
  }),
  link: (at, one, value, keep) => new Combobox({
    label: label(at, one.label), placeholder: one.none, texts: at.words.text, isRemote: true, free: true, class: 'combo-wide',
    shown: () => String(value[one.name] ?? ''),
    list: (typed) => at.ask('link', typed, isEmpty(value.campaign) ? {} : { campaign: [].concat(value.campaign).join(',') }),
    isChosen: (kept) => kept === value[one.name], pick: (item) => keep(one.name, item.value), typed: (typed) => keep(one.name, typed.trim()),
  }).box,
  kind: (at, one, value, keep) => new Combobox({
    label: label(at, one.label), placeholder: one.none, texts: at.words.text, isRemote: true, free: true, shown: () => value[one.name] ?? '',
    list: (typed) => at.ask('activity', typed),
    isChosen: (kept) => kept === value[one.name], pick: (item) => keep(one.name, item.value), typed: (typed) => keep(one.name, typed.trim()),
  }).box,
  short: (at, one, value, keep) => h('input', {
    class: 'form-control rule-short', 'aria-label': label(at, one.label), placeholder: one.none, maxlength: 3, value: value[one.name] ?? '',
    oninput: (event) => keep(one.name, event.target.value.trim().toUpperCase()),
  }),
  flag: (at, one, value, keep) => h('label', { class: 'form-check rule-part' },
    h('input', { class: 'form-check-input', type: 'checkbox', checked: value[one.name] === true, onchange: (event) => keep(one.name, event.target.checked) }),
    h('span', { class: 'form-check-label' }, one.label)),
  data: (at, one, value, keep) => ownValues(at, Object.entries(isObject(value[one.name]) ? value[one.name] : {}), (kept) => keep(one.name, kept)),
};

// A number test { op, value } or none.
function comparison(at, name, test, set, none, kinds = 'numbers') {
  const { words } = at;
  const isText = (op) => !words.numbers.some((one) => one.value === op);
  const box = h('div', { class: 'rule-pair' });
  let kept = test ? { ...test } : null;
  const keep = (next) => { kept = next; set(next && (next.value === '' || next.value === undefined) ? null : next); };
  const draw = () => {
    const list = select([{ value: '', label: none }, ...words[kinds]], kept?.op ?? '', label(at, name), (op) => {
      const first = [kept?.value ?? ''].flat()[0];
      keep(op ? { op, value: op === 'between' ? '' : first } : null);
      draw();
      box.querySelector('select').focus();
    });
    const side = kept && (kept.op === 'between' ? pair(at, 'number', kept.value, (value) => keep({ op: kept.op, value }))
      : isText(kept.op) ? input('text', kept.value, label(at, fill(words.text.value_of, { name })), (value) => keep({ op: kept.op, value }))
        : input('number', kept.value, label(at, fill(words.text.value_of, { name })), (value) => keep({ op: kept.op, value: number(value) })));
    box.replaceChildren(...[list, side].filter(Boolean));
  };
  draw();
  return box;
}

// Own values of an activity, `{"score": {"op": ">=", "value": 9}}`, each a name and a test of a number or a text.
function ownValues(at, entries, set) {
  const { text: t } = at.words;
  const rows = entries.map(([key, test]) => ({ key, test }));
  const box = h('div', { class: 'rule-own' });
  const keep = () => {
    const full = rows.filter((row) => row.key && row.test);
    set(full.length ? Object.fromEntries(full.map((row) => [row.key, row.test])) : null);
  };
  const add = () => { rows.push({ key: '', test: null }); draw(); box.querySelectorAll('[data-own]')[rows.length - 1].focus(); };
  const draw = () => box.replaceChildren(...rows.map((row) => h('div', { class: 'rule-pair' },
    h('input', { class: 'form-control', 'data-own': true, 'aria-label': label(at, t.own_value_name), placeholder: t.own_value_name, value: row.key, oninput: (event) => { row.key = event.target.value.trim(); keep(); } }),
    comparison(at, row.key || t.own_value_name, row.test, (test) => { row.test = test; keep(); }, t.choose, 'tests'))),
  h('button', { type: 'button', class: 'btn btn-sm', onclick: add }, t.add_own_value));
  draw();
  return box;
}

// A value of a shape that this page does not know: its JSON.
function json(at) {
  return h('input', {
    class: 'form-control font-monospace', 'aria-label': label(at, at.words.text.value), value: JSON.stringify(at.line.value ?? null),
    onchange: (event) => { try { at.set(JSON.parse(event.target.value)); } catch { at.set(event.target.value); } },
  });
}
