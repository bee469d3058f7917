// The rule builder: nested groups of lines, all of it by mouse and by keyboard, kept as the JSON of
// docs/reference/segment-rules.md. Fields, operators and words come from the page; nothing about rules is known here.
import { Combobox } from './combobox.js';
import { fill, freshId, h, icon, iconButton, select, wordButton } from './dom.js';
import { askValues, matching } from './source.js';
import * as tree from './tree.js';
import { firstValue, isWithoutValue, valueEditor } from './values.js';

const KEPT_STEPS = 100;
const KEYS = { ArrowUp: 'up', ArrowDown: 'down', ArrowLeft: 'out', ArrowRight: 'in' };

export class Builder {
  constructor(box) {
    this.box = box;
    this.words = JSON.parse(box.querySelector('script[type="application/json"]').textContent);
    this.source = document.querySelector(box.dataset.rules);
    this.place = box.querySelector('[data-tree]');
    this.status = box.querySelector('[data-said]');
    this.undoButton = box.querySelector('[data-undo]');
    this.redoButton = box.querySelector('[data-redo]');
    this.problems = [];
    this.done = [];
    this.undone = [];
    this.root = tree.newGroup('all');
    this.root.version = 1;
    this.listen();
    this.readSource({ isFirst: true });
  }

  listen() {
    this.source.addEventListener('input', () => this.readSource());
    this.place.addEventListener('keydown', (event) => this.key(event));
    this.undoButton.addEventListener('click', () => this.undo());
    this.redoButton.addEventListener('click', () => this.undo(true));
    this.box.addEventListener('keydown', (event) => {
      const types = event.target.closest('input:not([type=checkbox], [role=combobox]), textarea');
      if (types || !(event.ctrlKey || event.metaKey) || event.key.toLowerCase() !== 'z') return;
      event.preventDefault();
      this.undo(event.shiftKey);
    });
  }

  // ---- the JSON beside it

  readSource({ isFirst = false } = {}) {
    let data;
    try { data = JSON.parse(this.source.value); } catch (error) { this.sayJson(error.message); return; }
    const root = tree.readRule(data);
    if (!root) { this.sayJson(this.words.text.not_a_rule); return; }
    this.sayJson('');
    if (!isFirst) this.remember('json');
    this.root = root;
    this.problems = [];
    if (isFirst && !root.items.length) root.items.push(tree.newLine());
    this.draw();
    if (!isFirst) this.tell();
  }

  setRule(data) {
    this.source.value = JSON.stringify(data, null, 2);
    this.readSource();
  }

  sayJson(text) {
    const out = document.querySelector('#rule-json-problem');
    this.source.classList.toggle('is-invalid', Boolean(text));
    this.source.setAttribute('aria-invalid', String(Boolean(text)));
    if (out) out.textContent = text;
  }

  write() {
    const text = JSON.stringify(tree.writeRule(this.root), null, 2);
    if (text === this.source.value) return;
    this.source.value = text;
    this.sayJson('');
    this.tell();
  }

  tell() { this.source.dispatchEvent(new CustomEvent('rule', { bubbles: true })); }

  // ---- changes: remembered for undo, written, drawn, said, the focus put where one expects it

  remember(what) {
    if (what !== 'json' && what === this.lastStep) return; // typing in one field is one step
    this.lastStep = what;
    this.done.push(structuredClone(this.root));
    if (this.done.length > KEPT_STEPS) this.done.shift();
    this.undone = [];
    this.drawSteps();
  }

  change(act, said, focus) {
    this.remember(`step ${Date.now()} ${Math.random()}`);
    const target = act();
    this.draw();
    this.write();
    this.say(said);
    this.focusOn(...(focus ? focus(target) : [target]));
  }

  setValue(node, value) {
    this.remember(`value ${node.id}`);
    if (value === undefined) delete node.line.value; else node.line.value = value;
    this.problems = this.problems.filter((problem) => problem.node !== node.id);
    this.drawState(node);
    this.write();
  }

  undo(again = false) {
    const [from, to] = again ? [this.undone, this.done] : [this.done, this.undone];
    if (!from.length) { this.say(again ? this.words.text.nothing_to_redo : this.words.text.nothing_to_undo); return; }
    const active = document.activeElement;
    const [here, part] = [active?.closest('[data-node]')?.dataset.node, active?.closest('[data-part]')?.dataset.part];
    to.push(structuredClone(this.root));
    const before = this.idsOf(this.root);
    this.root = from.pop();
    this.lastStep = '';
    this.draw();
    this.write();
    this.say(again ? this.words.text.redone : this.words.text.undone);
    if (active?.matches('[data-undo], [data-redo]') && !active.disabled) return;
    const back = [...this.idsOf(this.root)].find((id) => !before.has(id));
    if (here && tree.find(this.root, here)) this.focusOn(here, part); else this.focusOn(back ?? this.root.id);
  }

  idsOf(node) { return new Set([node.id, ...(node.items ?? []).flatMap((item) => [...this.idsOf(item)])]); }

  say(text) {
    this.status.textContent = '';
    setTimeout(() => { this.status.textContent = text; }, 30);
  }

  focusOn(id, part = '') {
    const there = this.place.querySelector(`[data-node="${id}"]`);
    const inside = part ? there?.querySelector(`[data-part="${part}"]`) : null;
    const focusable = 'input, select, button:not([disabled])';
    const target = (inside?.matches(focusable) ? inside : inside?.querySelector(focusable)) ?? there?.querySelector(focusable);
    target?.focus();
    target?.scrollIntoView({ block: 'nearest' });
  }

  // ---- what a person can do

  addLine(group) {
    const line = tree.newLine();
    this.change(() => { group.items.push(line); return line.id; }, this.words.text.line_added, (id) => [id, 'field']);
    this.openPicker(line.id);
  }

  addAfter(id) {
    const line = tree.newLine();
    this.change(() => { tree.insertAfter(this.root, id, line); return line.id; }, this.words.text.line_added, (made) => [made, 'field']);
    this.openPicker(line.id);
  }

  openPicker(id) {
    this.place.querySelector(`[data-node="${id}"] .rule-field input`)?.click();
  }

  addGroup(group) {
    const line = tree.newLine();
    const made = tree.newGroup(group.mode === 'all' ? 'any' : 'all', [line]);
    this.change(() => { group.items.push(made); return line.id; }, this.words.text.group_added, (id) => [id, 'field']);
    this.openPicker(line.id);
  }

  remove(id) {
    const { node } = tree.find(this.root, id);
    const text = tree.isGroup(node) ? this.words.text.group_removed : this.words.text.line_removed;
    this.change(() => tree.remove(this.root, id), text);
    this.offerUndo(text);
  }

  // The way back stands where the eye is, until the next step.
  offerUndo(text) {
    const bar = this.box.querySelector('[data-removed]');
    bar.replaceChildren(h('span', {}, text), wordButton('arrow-counterclockwise', this.words.text.undo, () => { bar.replaceChildren(); this.undo(); }));
    clearTimeout(this.offered);
    this.offered = setTimeout(() => { if (!bar.contains(document.activeElement)) bar.replaceChildren(); }, 10000);
  }

  move(id, way) {
    const { text } = this.words;
    const part = document.activeElement?.closest('[data-part]')?.dataset.part ?? '';
    if (!tree.ways(this.root, id)[way]) { this.say(text.no_way); return; }
    this.change(() => { tree.move(this.root, id, way); return id; }, '', () => [id, part]);
    const { parent, index } = tree.find(this.root, id);
    const place = { number: index + 1, total: parent.items.length, group: this.modeWord(parent.mode) };
    this.say(fill({ up: text.moved, down: text.moved, in: text.moved_in, out: text.moved_out }[way], place));
  }

  wrap(id) { this.change(() => { tree.wrap(this.root, id); return id; }, this.words.text.wrapped); }

  dissolve(id) { this.change(() => tree.dissolve(this.root, id), this.words.text.dissolved); }

  duplicate(id) { this.change(() => tree.duplicate(this.root, id), this.words.text.duplicated); }

  turn(node) {
    this.change(() => { node.off = !node.off; return node.id; }, node.off ? this.words.text.turned_on : this.words.text.turned_off, (id) => [id, 'menu']);
  }

  key(event) {
    const holder = event.target.closest('[data-node]');
    if (!holder || !event.altKey || event.ctrlKey || event.metaKey) return;
    const id = holder.dataset.node;
    const isRoot = id === this.root.id;
    const acts = {
      Enter: () => (holder.matches('.rule-line') ? this.addAfter(id) : this.addLine(tree.find(this.root, id).node)),
      Delete: () => this.remove(id), Backspace: () => this.remove(id),
      g: () => this.wrap(id), d: () => this.duplicate(id),
    };
    const act = KEYS[event.key] ? () => this.move(id, KEYS[event.key]) : acts[event.key];
    if (!act || (isRoot && event.key !== 'Enter')) return;
    event.preventDefault();
    event.stopPropagation();
    act();
  }

  // ---- drawing

  modeWord(mode) { return this.words.text[mode]; }

  draw() {
    this.place.replaceChildren(this.group(this.root, 1));
    this.drawSteps();
  }

  drawSteps() {
    this.undoButton.disabled = !this.done.length;
    this.redoButton.disabled = !this.undone.length;
  }

  group(node, depth) {
    const { text } = this.words;
    const isRoot = node === this.root;
    const legend = freshId('legend');
    const mode = select(tree.MODES.map((value) => ({ value, label: this.modeWord(value) })), node.mode, text.group, (value) => {
      this.change(() => { node.mode = value; return node.id; }, this.modeWord(value), (id) => [id, 'mode']);
    }, { 'data-part': 'mode' });
    const head = h('div', { class: 'rule-head' },
      h('span', { class: 'visually-hidden', id: legend }, fill(text.group_at, { depth })), mode,
      h('span', { class: 'rule-state', 'data-state': true }), h('span', { class: 'rule-tools' }, isRoot ? null : this.tools(node)));
    const items = node.items.map((item, index) => [index ? h('li', { class: 'rule-joint', 'aria-hidden': 'true' }, text[`joint_${node.mode}`]) : null, this.item(item, depth, index, node)]);
    const body = node.items.length ? h('ul', { class: 'rule-lines' }, items.flat().filter(Boolean)) : h('p', { class: 'sub rule-none' }, isRoot ? text.empty_rule : text.empty_group);
    const foot = h('div', { class: 'btn-list rule-foot' },
      wordButton('plus-lg', text.add_line, () => this.addLine(node), { 'data-part': 'add' }),
      wordButton('collection', text.add_group, () => this.addGroup(node)));
    const made = h('div', { class: `rule-group rule-mode-${node.mode} rule-depth-${Math.min(depth, 6)}`, role: 'group', 'aria-labelledby': legend, 'data-node': node.id }, head, body, foot);
    this.drawState(node, made);
    return made;
  }

  item(node, depth, index, parent) {
    const inside = tree.isGroup(node) ? this.group(node, depth + 1) : this.line(node, index, parent);
    return h('li', {}, inside);
  }

  line(node, index, parent) {
    const { text } = this.words;
    const name = fill(text.line_at, { number: index + 1, total: parent.items.length });
    const made = h('div', { class: 'rule-line', role: 'group', 'aria-label': name, 'data-node': node.id });
    made.append(...this.lineParts(node));
    this.drawState(node, made);
    return made;
  }

  lineParts(node) {
    const tools = h('div', { class: 'rule-tools' }, this.tools(node));
    const state = h('div', { class: 'rule-state', 'data-state': true });
    if ('raw' in node) return [h('code', { class: 'rule-raw break' }, JSON.stringify(node.raw)), tools, state];
    const field = this.fieldOf(node.line);
    if (node.line.field === '') return [this.fieldPicker(node, field), tools, state];
    const ops = field?.ops ?? [];
    const op = ops.find((one) => one.name === node.line.op) ?? { name: node.line.op, label: node.line.op, value: 'json' };
    const at = {
      line: node.line, op, field, words: this.words, set: (value) => this.setValue(node, value),
      ask: (name, typed, more = {}) => askValues(this.box.dataset.values, { field: name, q: typed, ...more }),
    };
    const operators = select(ops.map((one) => ({ value: one.name, label: one.label })), node.line.op, `${field?.label ?? node.line.field}: ${this.words.text.operator}`,
      (value) => this.setOperator(node, ops, value), { 'data-part': 'op' });
    return [this.fieldPicker(node, field), operators, valueEditor(at), tools, state].filter(Boolean);
  }

  redrawLine(node, part) {
    const there = this.place.querySelector(`[data-node="${node.id}"]`);
    there.replaceChildren(...this.lineParts(node));
    this.drawState(node);
    if (part) this.focusOn(node.id, part);
  }

  // Which entry of the picker a line shows: the one whose preset it has, else the field itself.
  fieldOf(line) {
    const kind = typeof line.value === 'string' ? line.value : line.value?.kind;
    const same = this.words.fields.filter((one) => one.name === line.field || one.also?.includes(line.field));
    return same.find((one) => one.preset && one.preset.kind === kind) ?? same.find((one) => !one.preset);
  }

  fieldPicker(node, field) {
    const { text } = this.words;
    const options = this.words.fields.map((one) => ({ value: one.id, label: one.label, group: one.group, hint: one.hint, keywords: one.keywords }));
    const combo = new Combobox({
      label: text.field, placeholder: text.choose_field, texts: text, class: 'rule-field',
      shown: () => (node.line.field === '' ? '' : field?.label ?? node.line.field),
      list: (typed) => ({ items: matching(options, typed) }),
      isChosen: (id) => id === field?.id,
      pick: (item) => this.setField(node, item.value),
    });
    combo.box.dataset.part = 'field';
    return combo.box;
  }

  setField(node, id) {
    const field = this.words.fields.find((one) => one.id === id);
    this.remember(`field ${node.id} ${Date.now()}`);
    const old = this.fieldOf(node.line);
    const kept = field.ops.find((one) => one.name === node.line.op);
    const op = kept && old?.type === field.type ? kept : field.ops.find((one) => one.name === field.first) ?? field.ops[0];
    node.line = { field: field.name, op: op.name, value: firstValue(op.value, field.preset) };
    this.problems = this.problems.filter((problem) => problem.node !== node.id);
    this.redrawLine(node, 'op');
    this.write();
    this.say(fill(this.words.text.field_chosen, { field: field.label }));
  }

  setOperator(node, ops, name) {
    this.remember(`op ${node.id} ${Date.now()}`);
    const [before, after] = [ops.find((one) => one.name === node.line.op), ops.find((one) => one.name === name)];
    node.line.op = name;
    if (before?.value !== after.value) node.line.value = this.carried(node.line.value, before?.value, after.value);
    this.redrawLine(node, 'op');
    this.write();
  }

  // A value that fits the next operator too is kept: "is Oslo" becomes "is one of Oslo".
  carried(value, before, after) {
    if (after === 'texts' && before === 'text' && value) return [value];
    if (after === 'text' && before === 'texts' && value?.length) return value[0];
    return firstValue(after);
  }

  drawState(node, made = this.place.querySelector(`[data-node="${node.id}"]`)) {
    const { text } = this.words;
    const shape = node.line ? this.fieldOf(node.line)?.ops.find((one) => one.name === node.line.op)?.value : '';
    const isUnused = Boolean(node.line) && (node.line.field === '' || isWithoutValue(node.line, shape));
    const wrong = this.problems.filter((problem) => problem.node === node.id);
    made.classList.toggle('rule-off', node.off || isUnused);
    made.classList.toggle('rule-wrong', wrong.length > 0);
    const state = made.querySelector(':scope > [data-state], :scope > .rule-head > [data-state]');
    const note = node.off ? [icon('pause-circle'), ' ', text.is_off] : isUnused && node.line.field !== '' ? [icon('dash-circle'), ' ', text.not_used_yet] : [];
    state.replaceChildren(...(note.length ? [h('span', { class: 'rule-note' }, note)] : []),
      ...wrong.map((problem) => h('span', { class: 'rule-problem', role: 'alert' }, icon('exclamation-circle', 'me-1'), problem.text)));
  }

  // Problems from the server, `{ where, text }`, at the lines they speak of; returns those that speak of none.
  showProblems(problems) {
    const before = this.problems;
    this.problems = problems.map((problem) => ({ ...problem, node: problem.where ? tree.nodeAt(this.root, problem.where) : null }));
    new Set([...before, ...this.problems].map((problem) => problem.node)).forEach((id) => {
      const found = id && tree.find(this.root, id);
      if (found) this.drawState(found.node);
    });
    return this.problems.filter((problem) => !problem.node);
  }

  tools(node) {
    const { text } = this.words;
    const isGroup = tree.isGroup(node);
    const can = tree.ways(this.root, node.id);
    const entry = (name, label, keys, act, isPossible = true) => h('button', { type: 'button', class: 'dropdown-item', disabled: !isPossible, onclick: act },
      icon(name, 'me-2'), h('span', {}, label), keys ? h('kbd', {}, keys) : null);
    const menu = h('div', { class: 'dropdown' },
      h('button', { type: 'button', class: 'btn btn-icon btn-ghost-secondary', 'data-bs-toggle': 'dropdown', 'aria-expanded': 'false', 'data-part': 'menu', 'aria-label': isGroup ? text.group_menu : text.line_menu, title: isGroup ? text.group_menu : text.line_menu }, icon('three-dots-vertical')),
      h('div', { class: 'dropdown-menu dropdown-menu-end' },
        entry('arrow-up', text.move_up, 'Alt ↑', () => this.move(node.id, 'up'), can.up),
        entry('arrow-down', text.move_down, 'Alt ↓', () => this.move(node.id, 'down'), can.down),
        entry('box-arrow-in-right', text.move_in, 'Alt →', () => this.move(node.id, 'in'), can.in),
        entry('box-arrow-left', text.move_out, 'Alt ←', () => this.move(node.id, 'out'), can.out),
        h('div', { class: 'dropdown-divider' }),
        entry('collection', text.wrap, 'Alt G', () => this.wrap(node.id)),
        isGroup ? entry('box-arrow-up', text.dissolve, '', () => this.dissolve(node.id)) : null,
        entry('copy', text.duplicate, 'Alt D', () => this.duplicate(node.id)),
        'raw' in node ? null : entry(node.off ? 'play-circle' : 'pause-circle', node.off ? text.turn_on : text.turn_off, '', () => this.turn(node))));
    return [menu, iconButton('x-lg', isGroup ? text.remove_group : text.remove_line, () => this.remove(node.id), { 'data-part': 'remove' })];
  }
}
