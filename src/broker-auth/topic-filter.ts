/** A topic filter by its levels (MQTT 5 §4.7.1). */
export type TopicFilter = readonly string[];

/** MQTT 5 §1.5.4 and §4.7.3: a UTF-8 string of at most so many octets. */
const MAX_OCTETS = 65_535;

/** Whether the text is the name of a topic: no wildcard, no NUL (MQTT 5 §4.7.1, §4.7.3). */
export function isTopicName(text: string): boolean {
  return isTopicText(text) && !/[+#]/.test(text);
}

/**
 * Reads a topic filter; undefined where it is none: # only as the whole last level, + only as a whole level (MQTT 5 §4.7.1).
 */
export function parseTopicFilter(text: string): TopicFilter | undefined {
  if (!isTopicText(text)) return undefined;
  const levels = text.split('/');
  const legal = levels.every((level, at) => {
    if (level === '#') return at === levels.length - 1;
    return level === '+' || !/[+#]/.test(level);
  });
  return legal ? levels : undefined;
}

/**
 * The filter of a subscription, of a shared one too: `$share/{ShareName}/{filter}` (MQTT 5 §4.8.2).
 *
 * @returns undefined where it is none
 */
export function parseSubscription(text: string): TopicFilter | undefined {
  if (!text.startsWith('$share/')) return parseTopicFilter(text);
  const [, group = '', ...rest] = text.split('/');
  if (group === '' || /[+#]/.test(group) || rest.length === 0) return undefined;
  return parseTopicFilter(rest.join('/'));
}

/** Whether a message to the topic reaches a subscription to the filter. */
export function matchesTopic(filter: TopicFilter, topic: string): boolean {
  return coversFilter(filter, topic.split('/'));
}

/** Whether every topic that `inner` matches is matched by `outer` too. */
export function coversFilter(outer: TopicFilter, inner: TopicFilter): boolean {
  if (hidden(inner) && isWildcard(outer[0])) return false;
  for (let at = 0; ; at += 1) {
    const allowed = outer[at];
    const asked = inner[at];
    // "sport/#" matches "sport" too (MQTT 5 §4.7.1.2).
    if (allowed === '#') return true;
    if (allowed === undefined || asked === undefined) return allowed === asked;
    // Every topic has a first level, so "+/#" is another way to write "#".
    if (asked === '#') return at === 0 && allowed === '+' && outer[1] === '#';
    if (allowed !== '+' && allowed !== asked) return false;
  }
}

/** Whether there is a topic that both match. */
export function overlapsFilter(one: TopicFilter, other: TopicFilter): boolean {
  if ((hidden(one) && isWildcard(other[0])) || (hidden(other) && isWildcard(one[0]))) return false;
  for (let at = 0; ; at += 1) {
    const a = one[at];
    const b = other[at];
    if (a === '#' || b === '#') return true;
    if (a === undefined || b === undefined) return a === b;
    if (a !== '+' && b !== '+' && a !== b) return false;
  }
}

/** MQTT 5 §4.7.2: a filter that begins with a wildcard matches no topic that begins with $. */
function hidden(filter: TopicFilter): boolean {
  return filter[0]?.startsWith('$') === true;
}

function isWildcard(level: string | undefined): boolean {
  return level === '+' || level === '#';
}

function isTopicText(text: string): boolean {
  return text !== '' && !text.includes('\0') && text.isWellFormed() && Buffer.byteLength(text) <= MAX_OCTETS;
}
