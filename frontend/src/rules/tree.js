// The rule as a tree of nodes, and what can be done to it. Pure: no page is touched here.
// A group is { id, mode, items, off }, a line { id, line: { field, op, value }, off }; what is neither keeps its JSON as { id, raw }.

export const MODES = ['all', 'any', 'none'];
let last = 0;
const fresh = () => `r${++last}`;

export const newLine = (line = { field: '' }) => ({ id: fresh(), line, off: false });
export const newGroup = (mode = 'all', items = []) => ({ id: fresh(), mode, items, off: false });
export const isGroup = (node) => Boolean(node.items);

export function readRule(data) {
  if (!data || typeof data !== 'object' || Array.isArray(data)) return null;
  const { version, ...body } = data;
  const node = readNode(body);
  return isGroup(node) ? { ...node, version: version ?? 1 } : null;
}

function readNode(data) {
  if (!data || typeof data !== 'object' || Array.isArray(data)) return { id: fresh(), raw: data };
  const { off, ...rest } = data;
  const keys = Object.keys(rest);
  const isOff = off === true;
  if (keys.length === 1 && MODES.includes(keys[0]) && Array.isArray(rest[keys[0]])) {
    return { id: fresh(), mode: keys[0], items: rest[keys[0]].map(readNode), off: isOff };
  }
  const { field, op, value, n, unit, ...unknown } = rest;
  if (typeof field !== 'string' || typeof op !== 'string' || Object.keys(unknown).length) return { id: fresh(), raw: data };
  const line = { field, op, value };
  if (n !== undefined || unit !== undefined) line.value = { ...(n === undefined ? {} : { n }), ...(unit === undefined ? {} : { unit }) };
  return { id: fresh(), line, off: isOff };
}

// A line without a field is not written: it is on the page only.
const isWritten = (node) => !node.line || node.line.field !== '';

export function writeRule(root) {
  const { version } = root;
  return { version, ...writeNode(root) };
}

export function writeNode(node) {
  const off = node.off ? { off: true } : {};
  if ('raw' in node) return node.raw;
  if (isGroup(node)) return { [node.mode]: node.items.filter(isWritten).map(writeNode), ...off };
  const { field, op, value } = node.line;
  return { field, op, ...(value === undefined ? {} : { value }), ...off };
}

// Where each node stands in the written rule, as the server names it: "all[0].any[2]".
export function placesOf(root) {
  const places = new Map([[root.id, '']]);
  const walk = (group, place) => {
    group.items.filter(isWritten).forEach((node, index) => {
      const here = `${place ? `${place}.` : ''}${group.mode}[${index}]`;
      places.set(node.id, here);
      if (isGroup(node)) walk(node, here);
    });
  };
  walk(root, '');
  return places;
}

// The node a problem belongs to: the deepest whose place begins the problem's.
export function nodeAt(root, where) {
  let best = null;
  let length = -1;
  for (const [id, place] of placesOf(root)) {
    const holds = where === place || where.startsWith(`${place}.`) || (place === '' && MODES.some((mode) => where.startsWith(mode)));
    if (holds && place.length > length) { best = id; length = place.length; }
  }
  return best;
}

export function find(root, id, parent = null, index = -1) {
  if (root.id === id) return { node: root, parent, index };
  for (const [at, item] of (root.items ?? []).entries()) {
    const found = find(item, id, root, at);
    if (found) return found;
  }
  return null;
}

export function insertAfter(root, id, node) {
  const { parent, index } = find(root, id);
  parent.items.splice(index + 1, 0, node);
}

// Take a node out; return the id on which the eye should rest afterwards: the next, else the one before, else the group.
export function remove(root, id) {
  const { parent, index } = find(root, id);
  parent.items.splice(index, 1);
  return (parent.items[index] ?? parent.items[index - 1] ?? parent).id;
}

export function duplicate(root, id) {
  const { node } = find(root, id);
  const copy = withFreshIds(structuredClone(node));
  insertAfter(root, id, copy);
  return copy.id;
}

function withFreshIds(node) {
  node.id = fresh();
  (node.items ?? []).forEach(withFreshIds);
  return node;
}

// Move within the group, into the neighbouring group or out of its own; false where there is no way.
export function move(root, id, way) {
  const { node, parent, index } = find(root, id);
  if (!parent) return false;
  if (way === 'out') {
    const above = find(root, parent.id);
    if (!above.parent) return false;
    parent.items.splice(index, 1);
    above.parent.items.splice(above.index + 1, 0, node);
    return true;
  }
  if (way === 'in') {
    const [before, after] = [parent.items[index - 1], parent.items[index + 1]];
    const target = before && isGroup(before) ? before : after && isGroup(after) ? after : null;
    if (!target) return false;
    parent.items.splice(index, 1);
    if (target === before) target.items.push(node); else target.items.unshift(node);
    return true;
  }
  const to = index + (way === 'up' ? -1 : 1);
  if (to < 0 || to >= parent.items.length) return false;
  parent.items.splice(index, 1);
  parent.items.splice(to, 0, node);
  return true;
}

export function ways(root, id) {
  const { parent, index } = find(root, id);
  if (!parent) return {};
  const neighbours = [parent.items[index - 1], parent.items[index + 1]];
  return {
    up: index > 0,
    down: index < parent.items.length - 1,
    out: find(root, parent.id).parent !== null,
    in: neighbours.some((one) => one && isGroup(one)),
  };
}

// Put a node into a group of its own, whose mode is the other one: that is what a new group is for.
export function wrap(root, id) {
  const { node, parent, index } = find(root, id);
  const group = newGroup(parent.mode === 'all' ? 'any' : 'all', [node]);
  parent.items[index] = group;
  return group.id;
}

// Put the lines of a group in its place.
export function dissolve(root, id) {
  const { node, parent, index } = find(root, id);
  parent.items.splice(index, 1, ...node.items);
  return (node.items[0] ?? parent).id;
}
