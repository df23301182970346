// Cuts well-formed JSON text into pieces without changing a byte: JSON.parse alone would lose how a payload was written.

const WHITE_SPACE = " \t\r\n";

/** Without the white space around it. */
export function trimmed(text) {
  let [from, to] = [0, text.length];
  while (from < to && WHITE_SPACE.includes(text[from])) from += 1;
  while (to > from && WHITE_SPACE.includes(text[to - 1])) to -= 1;
  return text.slice(from, to);
}

export function isOneValue(text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The text of each element of an array. */
export function elements(text) {
  return split(text, ",");
}

/** The key and the text of the value of each entry of an object. */
export function entries(text) {
  return split(text, ",").map((entry) => {
    const end = stringEnd(entry, 0);
    const value = entry.slice(entry.indexOf(":", end) + 1);
    return [JSON.parse(entry.slice(0, end)), trimmed(value)];
  });
}

/** What stands between the separators of the outermost brackets. */
function split(text, separator) {
  const pieces = [];
  let [depth, from] = [0, 1];
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (character === '"') {
      at = stringEnd(text, at) - 1;
    } else if (character === "[" || character === "{") {
      depth += 1;
    } else if (character === "]" || character === "}") {
      depth -= 1;
    } else if (character === separator && depth === 1) {
      pieces.push(trimmed(text.slice(from, at)));
      from = at + 1;
    }
  }
  const last = trimmed(text.slice(from, -1));
  return last === "" ? pieces : [...pieces, last];
}

/** Where the string that begins at `from` is over. */
function stringEnd(text, from) {
  let at = from + 1;
  while (text[at] !== '"') {
    at += text[at] === "\\" ? 2 : 1;
  }
  return at + 1;
}
