/** How many devices the word of one gate has shut out lately, which is asked before another one is. */
export const conflictQuarantines = `
CREATE INDEX quarantines_conflict ON quarantines (ordered_by, since) WHERE cause = 'conflict';
`;
