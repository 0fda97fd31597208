/** The days of the story on which things happen to everybody. */
export const CALENDAR = {
  thefts: 5,
  foundOut: 8,
  /** The next generation of the issuing CA is made, when a tenth of the fleet is off. */
  rotate: 23,
  /** It issues, and a campaign begins to carry the fleet to it. */
  activate: 24.1,
  /** In the midst of it, and of the time in which the fleet is to renew, nobody is there for a week. */
  down: 25,
  up: 32,
  /** What is left of the old generation is taken back: all that were off are back, but a few. */
  retire: 43.5,
  /** And those. */
  allBack: 45,
  end: 48,
} as const;
