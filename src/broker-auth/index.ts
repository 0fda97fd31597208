// What a gate at a broker is made of: it stands alone, and needs no authority on its machine.
export { type FeedEvent, parseFeedEvent, type RawEvent, readFeedEvents } from './status/feed-events.ts';
export { type Following, type FollowOptions, followFeed } from './status/follow-feed.ts';
export { type Position, parsePosition, positionToText } from './status/position.ts';
export { type ReadSnapshot, readSnapshot, type SnapshotRules } from './status/read-snapshot.ts';
export { type CertificateKey, type Standing, StatusTable } from './status/status-table.ts';
