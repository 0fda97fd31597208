/** When the engine last said that it is there: what it was away for is added to deadlines. */
export const campaignLooks = `
ALTER TABLE campaigns ADD COLUMN looked_at INTEGER;
`;
