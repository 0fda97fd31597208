/**
 * Whether a serial number fits a pattern: `*` stands for any run of characters, `?` for one. Case counts.
 * Takes at most pattern × text steps, whatever the pattern.
 */
export function matchesPattern(pattern: string, text: string): boolean {
  let at = 0;
  let star = -1;
  let resume = 0;
  for (let i = 0; i < text.length; ) {
    if (at < pattern.length && pattern[at] !== '*' && (pattern[at] === '?' || pattern[at] === text[i])) {
      at += 1;
      i += 1;
    } else if (pattern[at] === '*') {
      star = at;
      resume = i;
      at += 1;
    } else if (star !== -1) {
      // The last star takes one character more.
      at = star + 1;
      resume += 1;
      i = resume;
    } else return false;
  }
  while (pattern[at] === '*') at += 1;
  return at === pattern.length;
}
