import { expect, test } from 'vitest';
import { createIssuingRoom } from '../../src/ca/issuing-room.ts';
import { publishedUrls } from '../../src/ca/published-urls.ts';
import { openTestHouse, PUBLIC_URL, seededRandom } from '../house.ts';
import { codeOf } from '../x509/code-of.ts';

test('finds profiles by their names, and says which there are', async () => {
  using house = await openTestHouse({ profiles: { second: {} } });
  const { issuing } = house;
  expect(issuing.profile('second').name).toBe('second');
  expect(issuing.preparer('ldevid').authority.name).toBe('ldevid');
  expect([...issuing.idevidProfiles].sort()).toEqual(['idevid', 'second']);
  expect(codeOf(() => issuing.profile('third'))).toBe('profile-unknown');
  expect(codeOf(() => issuing.preparer('third'))).toBe('profile-unknown');
  expect(() => issuing.profile('third')).toThrow('idevid, ldevid, server, operator, second');
});

test.each(['__proto__', 'constructor', 'toString'])('there is no profile %s', async (name) => {
  using house = await openTestHouse();
  expect(codeOf(() => house.issuing.profile(name))).toBe('profile-unknown');
});

test('does not open where a profile names an authority that this home has not', async () => {
  using house = await openTestHouse();
  const authorities = new Map([...house.authorities].filter(([name]) => name !== 'service'));
  const profiles = [...house.issuing.profiles.values()];
  const rest = { urls: publishedUrls(PUBLIC_URL), shards: 4, random: seededRandom(), mayIssue: () => true };
  expect(codeOf(() => createIssuingRoom({ authorities, profiles, ...rest }))).toBe('config-invalid');
});
