// The rule builder of a segment: nested groups of lines, kept as the JSON of docs/reference/segment-rules.md.
// The vocabulary (fields, operators, value kinds) comes from the page, so nothing about rules is known here.

function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name === 'class') made.className = value;
    else if (name.startsWith('on')) made.addEventListener(name.slice(2), value);
    else if (value === true) made.setAttribute(name, '');
    else if (value !== false && value !== undefined) made.setAttribute(name, value);
  }
  made.append(...children.filter((child) => child !== null));
  return made;
}

function select(options, chosen, label, change) {
  const made = element('select', { class: 'form-select', 'aria-label': label, onchange: (event) => change(event.target.value) });
  let group = null;
  for (const option of options) {
    const line = element('option', { value: option.value, selected: option.value === chosen }, option.label);
    if (option.group) {
      if (!group || group.label !== option.group) { group = element('optgroup', { label: option.group }); made.append(group); }
      group.append(line);
    } else made.append(line);
  }
  if (chosen !== undefined && !options.some((option) => option.value === chosen)) {
    made.prepend(element('option', { value: chosen, selected: true }, chosen));
  }
  return made;
}

class Builder {
  constructor(box) {
    this.box = box;
    this.words = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
    this.source = document.querySelector(box.dataset.rules);
    this.place = box.querySelector('[data-tree]');
    this.source.addEventListener('input', () => this.read());
    this.read();
  }

  read() {
    try {
      this.rule = JSON.parse(this.source.value);
      this.source.classList.remove('is-invalid');
    } catch {
      this.source.classList.add('is-invalid');
      return;
    }
    this.draw();
  }

  write(redraw = true) {
    this.source.value = JSON.stringify(this.rule, null, 2);
    this.source.dispatchEvent(new Event('change', { bubbles: true }));
    if (redraw) this.draw();
  }

  draw() {
    this.place.replaceChildren(this.group(this.rule, null));
  }

  kind(group) {
    return ['all', 'any', 'none'].find((name) => name in group) ?? 'all';
  }

  group(group, remove) {
    const kind = this.kind(group);
    const lines = (group[kind] ??= []);
    const { text } = this.words;
    const head = element('div', { class: 'rule-head' },
      select([{ value: 'all', label: text.all }, { value: 'any', label: text.any }, { value: 'none', label: text.none }], kind, text.group,
        (value) => { group[value] = lines; if (value !== kind) delete group[kind]; this.write(); }),
      remove ? this.button('bi-x-lg', text.remove_group, remove) : null);
    const body = element('div', { class: 'rule-lines' }, ...lines.map((line, index) => {
      const drop = () => { lines.splice(index, 1); this.write(); };
      return 'field' in line ? this.line(line, drop) : this.group(line, drop);
    }));
    const first = this.words.fields[0];
    const foot = element('div', { class: 'btn-list' },
      this.wordButton('bi-plus-lg', text.add_line, () => { lines.push({ field: first.name, op: first.ops[0].name, value: '' }); this.write(); }),
      this.wordButton('bi-plus-square', text.add_group, () => { lines.push({ all: [] }); this.write(); }));
    return element('fieldset', { class: 'rule-group' }, head, body, foot);
  }

  line(line, drop) {
    const { text } = this.words;
    const field = this.words.fields.find((one) => one.name === line.field);
    const ops = field?.ops ?? [{ name: line.op, label: line.op, value: 'json' }];
    const op = ops.find((one) => one.name === line.op) ?? { name: line.op, label: line.op, value: 'json' };
    const fields = this.words.fields.map((one) => ({ value: one.name, label: one.label, group: one.group }));
    return element('div', { class: 'rule-line' },
      select(fields, line.field, text.field, (value) => {
        line.field = value;
        const next = this.words.fields.find((one) => one.name === value);
        if (!next.ops.some((one) => one.name === line.op)) line.op = next.ops[0].name;
        this.clear(line);
        this.write();
      }),
      select(ops.map((one) => ({ value: one.name, label: one.label })), line.op, text.operator, (value) => {
        line.op = value;
        const next = ops.find((one) => one.name === value);
        if (next.value !== op.value) this.clear(line);
        this.write();
      }),
      ...this.valueAndButton(this.value(line, op, field), this.button('bi-x-lg', text.remove_line, drop)));
  }

  // a tall value stands under its line; then the button comes before it, for the eye and for the Tab key alike
  valueAndButton(value, button) {
    return value.classList.contains('rule-stack') ? [button, value] : [value, button];
  }

  clear(line) {
    line.value = '';
    delete line.n;
    delete line.unit;
  }

  value(line, op, field) {
    const { text } = this.words;
    const keep = (value) => { line.value = value; this.write(false); };
    const number = (value) => (value === '' ? '' : Number(value));
    switch (op.value) {
      case 'nothing': return element('span');
      case 'text': return field?.choices
        ? select([{ value: '', label: '–' }, ...field.choices], line.value ?? '', text.value, keep)
        : this.input('text', line.value, text.value, keep);
      case 'number': return this.input('number', line.value, text.value, (value) => keep(number(value)));
      case 'day': return this.input('date', line.value, text.value, keep);
      case 'texts':
      case 'optional_texts': return field?.choices
        ? this.choices(line, field.choices)
        : this.input('text', [].concat(line.value ?? []).join(', '), text.value,
          (value) => keep(value.split(',').map((one) => one.trim()).filter(Boolean)));
      case 'numbers':
      case 'days': return this.pair(line, op.value === 'days' ? 'date' : 'number', number);
      case 'period': return this.period(line);
      case 'behavior': return this.behavior(line);
      case 'activity': return this.activity(line);
      default: return element('input', {
        class: 'form-control font-monospace', 'aria-label': text.value, value: JSON.stringify(line.value ?? null),
        onchange: (event) => { try { keep(JSON.parse(event.target.value)); } catch { keep(event.target.value); } },
      });
    }
  }

  input(type, shown, label, change, more = {}) {
    return element('input', {
      class: 'form-control', type, value: shown ?? '', 'aria-label': label, step: type === 'number' ? 'any' : undefined,
      onchange: (event) => change(event.target.value), ...more,
    });
  }

  pair(line, type, number) {
    const { text } = this.words;
    const sides = Array.isArray(line.value) ? line.value : ['', ''];
    const keep = (index, value) => {
      sides[index] = type === 'date' ? value : number(value);
      line.value = sides.some((side) => side === '') ? '' : [...sides];
      this.write(false);
    };
    return element('div', { class: 'rule-pair' },
      this.input(type, sides[0], text.from, (value) => keep(0, value)), element('span', {}, '–'),
      this.input(type, sides[1], text.to, (value) => keep(1, value)));
  }

  units(target, change) {
    const { text } = this.words;
    return [
      this.input('number', target.n ?? 1, text.count, (value) => { target.n = Math.max(1, Math.round(Number(value)) || 1); change(); }, { min: 1, step: 1 }),
      select(this.words.units, target.unit ?? 'month', text.unit, (value) => { target.unit = value; change(); }),
    ];
  }

  period(line) {
    if (line.value && typeof line.value === 'object') Object.assign(line, { n: line.value.n, unit: line.value.unit });
    delete line.value;
    line.n ??= 1;
    line.unit ??= 'month';
    return element('div', { class: 'rule-pair' }, ...this.units(line, () => this.write(false)));
  }

  // when: ever, or a period of the calendar that is part of a larger value
  when(value) {
    const { text } = this.words;
    const known = ['this_and_previous', 'previous'];
    const options = [{ value: '', label: text.ever }, ...known.map((one) => ({ value: one, label: text[one] }))];
    const chosen = value.period?.op ?? '';
    const list = select(options, chosen, text.period, (op) => {
      if (op) value.period = { op, n: value.period?.n ?? 6, unit: value.period?.unit ?? 'month' };
      else delete value.period;
      this.write();
    });
    return known.includes(chosen) ? [list, ...this.units(value.period, () => this.write(false))] : [list];
  }

  behavior(line) {
    const { text } = this.words;
    const value = (line.value = line.value && typeof line.value === 'object' ? line.value : {});
    const often = this.input('number', value.at_least ?? 1, text.at_least, (shown) => {
      const count = Math.max(1, Math.round(Number(shown)) || 1);
      if (count > 1) value.at_least = count; else delete value.at_least;
      this.write(false);
    }, { min: 1, step: 1 });
    return element('div', { class: 'rule-stack' },
      element('div', { class: 'rule-pair' }, ...this.when(value)),
      element('div', { class: 'rule-pair' }, element('span', { class: 'sub nowrap' }, '≥'), often, element('span', { class: 'sub' }, text.times)));
  }

  activity(line) {
    const { text, kinds } = this.words;
    const value = (line.value = line.value && typeof line.value === 'object' ? line.value : { kind: line.value || kinds[0] || 'purchase' });
    const known = [...new Set([value.kind, ...kinds])].map((kind) => ({ value: kind, label: kind.replaceAll('_', ' ') }));
    const signs = ['', '>=', '<=', '>', '<', '=', 'between'].map((sign) => ({ value: sign, label: { '': text.any_sum, between: '… – …' }[sign] ?? sign }));
    const sum = [select(signs, value.sum?.op ?? '', text.sum, (op) => {
      const first = [value.sum?.value ?? 0].flat()[0];
      if (op) value.sum = { op, value: op === 'between' ? [first, first] : first };
      else delete value.sum;
      this.write();
    })];
    if (value.sum && !Array.isArray(value.sum.value)) {
      sum.push(this.input('number', value.sum.value, text.sum, (shown) => { value.sum.value = Number(shown) || 0; this.write(false); }));
    } else if (value.sum) {
      const side = (index, label) => this.input('number', value.sum.value[index], label, (shown) => { value.sum.value[index] = Number(shown) || 0; this.write(false); });
      sum.push(side(0, text.from), element('span', {}, '–'), side(1, text.to));
    }
    return element('div', { class: 'rule-stack' },
      select(known, value.kind, text.kind, (kind) => { value.kind = kind; this.write(false); }),
      element('div', { class: 'rule-pair' }, ...this.when(value)),
      element('div', { class: 'rule-pair' }, ...sum));
  }

  choices(line, choices) {
    const chosen = [].concat(line.value ?? []);
    const made = element('select', { class: 'form-select', multiple: true, size: Math.min(5, choices.length), 'aria-label': this.words.text.value,
      onchange: (event) => { line.value = [...event.target.selectedOptions].map((one) => one.value); this.write(false); } });
    for (const choice of choices) made.append(element('option', { value: choice.value, selected: chosen.includes(choice.value) }, choice.label));
    return made;
  }

  button(icon, label, click) {
    return element('button', { type: 'button', class: 'btn btn-icon btn-ghost-secondary', 'aria-label': label, title: label, onclick: click },
      element('i', { class: `bi ${icon}`, 'aria-hidden': 'true' }));
  }

  wordButton(icon, label, click) {
    return element('button', { type: 'button', class: 'btn btn-sm', onclick: click },
      element('i', { class: `bi ${icon} me-1`, 'aria-hidden': 'true' }), label);
  }
}

document.querySelectorAll('[data-rules]').forEach((box) => new Builder(box));
