import type { DemoHouse } from './house.ts';
import type { Stage } from './stage.ts';

/** What is left when all is over, in the house's own words. */
export async function ledgerSays(house: DemoHouse, stage: Stage): Promise<void> {
  stage.act('What the ledger says');
  const devices: { state: string }[] = JSON.parse(
    await house.command('device', 'list', '--limit', '1000', '--json'),
  );
  const states = Map.groupBy(devices, ({ state }) => state);
  stage.say([...states].map(([state, some]) => `${some.length} ${state}`).join(', '));
  const findings = (await house.command('doctor')).split('\n');
  const good = findings.filter((line) => line.startsWith('ok'));
  stage.expect(
    good.length === findings.length,
    `birthmark doctor: ${good.length} of ${findings.length} are well`,
  );
}
