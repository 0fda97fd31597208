/** The days of the story on which things happen to everybody. */
export const CALENDAR = {
  thefts: 5,
  foundOut: 8,
  /** The first renewals are due, and nobody is there for a week. */
  down: 25,
  up: 32,
  rotate: 34,
  activate: 35.1,
  /** All that were off are back, but a few. */
  retire: 47,
  /** And those. */
  allBack: 48.5,
  end: 50,
} as const;
