import { expect, test } from 'vitest';
import { openAedesHouse } from '../broker-auth/adapters/aedes-house.ts';

// Aedes behind its real TLS listener, and mqtt.js a thousand times.

const NOT_AUTHORIZED = 5;

test('a thousand that come at once are let in, but for those that were taken back', async () => {
  await using house = await openAedesHouse();
  const { maker } = house;
  const devices = Array.from({ length: 1000 }, (_, at) => ({
    id: `dev${at}`,
    party: maker.device(`dev${at}`),
  }));
  for (const { party } of devices.slice(0, 100)) house.status.tell(party, maker.issuer, 'revoked');
  /** As clients do, one whose connection comes to nothing tries again; what the broker said is the last word. */
  const answerTo = async ({ id, party }: (typeof devices)[number]): Promise<number> => {
    for (;;) {
      const client = await house.connect(party, { clientId: id, connectTimeout: 120_000 });
      if (typeof client !== 'number') return 0;
      if (!Number.isNaN(client) && client < 0x100) return client;
    }
  };
  const codes = await Promise.all(devices.map(answerTo));
  expect(new Set(codes.slice(0, 100))).toEqual(new Set([NOT_AUTHORIZED]));
  expect(new Set(codes.slice(100))).toEqual(new Set([0]));
  expect(house.verdicts.filter(({ allow }) => allow).length).toBeGreaterThanOrEqual(900);
  expect(house.gate.sessions.size).toBeGreaterThan(0);
}, 600_000);
