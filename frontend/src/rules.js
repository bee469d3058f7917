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
        if (!next.ops.some((one) => one.name === line.op)) { line.op = next.ops[0].name; line.value = ''; }
        this.write();
      }),
      select(ops.map((one) => ({ value: one.name, label: one.label })), line.op, text.operator, (value) => {
        line.op = value;
        const next = ops.find((one) => one.name === value);
        if (next.value !== op.value) line.value = next.value === 'none' ? undefined : '';
        this.write();
      }),
      this.value(line, op, field),
      this.button('bi-x-lg', text.remove_line, drop));
  }

  value(line, op, field) {
    const { text } = this.words;
    const keep = (value) => { line.value = value; this.write(false); };
    const box = (type, shown, read) => element('input', {
      class: 'form-control', type, value: shown ?? '', 'aria-label': text.value, step: 'any',
      onchange: (event) => keep(read(event.target.value)),
    });
    const number = (value) => (value === '' ? '' : Number(value));
    switch (op.value) {
      case 'none': return element('span');
      case 'number': return box('number', line.value, number);
      case 'date': return box('date', line.value, (value) => value);
      case 'list': return field?.choices
        ? this.choices(line, field.choices)
        : box('text', [].concat(line.value ?? []).join(', '), (value) => value.split(',').map((one) => one.trim()).filter(Boolean));
      case 'choice': return select([{ value: '', label: '–' }, ...(field?.choices ?? [])], line.value ?? '', text.value, keep);
      case 'between': {
        const [low, high] = Array.isArray(line.value) ? line.value : ['', ''];
        const type = field?.type === 'date' ? 'date' : 'number';
        const read = type === 'date' ? (value) => value : number;
        line.value = [low, high];
        const side = (index, shown) => element('input', {
          class: 'form-control', type, value: shown, step: 'any', 'aria-label': index ? text.to : text.from,
          onchange: (event) => { line.value[index] = read(event.target.value); this.write(false); },
        });
        return element('div', { class: 'rule-pair' }, side(0, low), element('span', {}, '–'), side(1, high));
      }
      case 'period': {
        const n = element('input', {
          class: 'form-control', type: 'number', min: 1, value: line.n ?? 1, 'aria-label': text.count,
          onchange: (event) => { line.n = Number(event.target.value) || 1; this.write(false); },
        });
        line.n ??= 1; line.unit ??= 'month'; delete line.value;
        return element('div', { class: 'rule-pair' }, n,
          select(this.words.units, line.unit, text.unit, (value) => { line.unit = value; this.write(false); }));
      }
      case 'json': return element('input', {
        class: 'form-control font-monospace', 'aria-label': text.value, value: JSON.stringify(line.value ?? null),
        onchange: (event) => { try { keep(JSON.parse(event.target.value)); } catch { keep(event.target.value); } },
      });
      default: return box('text', line.value, (value) => value);
    }
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
