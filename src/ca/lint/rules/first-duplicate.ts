/** The first entry that stands in the list a second time. */
export function firstDuplicate(list: readonly string[]): string | undefined {
  if (list.length < 2) return undefined;
  return list.find((entry, at) => list.indexOf(entry) !== at);
}
