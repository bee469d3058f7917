// Values that a field has, with how many contacts have each: asked once for each question, the older question given up.

const known = new Map();
let running = null;

export async function askValues(url, params) {
  const address = `${url}?${new URLSearchParams(params)}`;
  if (known.has(address)) return known.get(address);
  running?.abort();
  running = new AbortController();
  try {
    const response = await fetch(address, { signal: running.signal, headers: { 'HX-Request': 'true' } });
    if (!response.ok) return { items: [] };
    const answer = await response.json();
    known.set(address, answer);
    return answer;
  } catch {
    return { items: [] };
  }
}

// Filter what is here already, best matches first: the beginning of a word before its middle.
export function matching(items, text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  if (!words.length) return items;
  const score = (item) => {
    const label = item.label.toLowerCase();
    const all = `${label} ${item.hint ?? ''} ${item.keywords ?? ''} ${item.group ?? ''}`.toLowerCase();
    if (!words.every((word) => all.includes(word))) return -1;
    if (label.startsWith(words[0])) return 3;
    if (label.includes(` ${words[0]}`)) return 2;
    return label.includes(words[0]) ? 1 : 0;
  };
  return items.map((item) => [score(item), item]).filter(([points]) => points >= 0).sort((a, b) => b[0] - a[0]).map(([, item]) => item);
}
