import { Command } from 'commander';
import Type, { type Static } from 'typebox';
import { schemaParser } from '../../core/schema.ts';
import { withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, type Shell } from '../command.ts';
import { printTable } from '../output.ts';

const Scan = Type.Object({
  tests: Type.String(),
  startedAt: Type.String(),
  endedAt: Type.Optional(Type.String()),
  devices: Type.Integer(),
  certificates: Type.Integer(),
  percent: Type.Integer(),
  primes: Type.Optional(Type.String()),
});
const Report = Type.Object({
  scan: Type.Optional(Scan),
  isCurrent: Type.Boolean(),
  lines: Type.Array(
    Type.Object({ finding: Type.String(), certificates: Type.Integer(), devices: Type.Integer() }),
  ),
});
const parseScan = schemaParser(Scan, 'internal');
const parseReport = schemaParser(Report, 'internal');

export function hygieneCommand(shell: Shell): Command {
  return new Command('hygiene')
    .description('look after the keys of the whole fleet')
    .addCommand(scanCommand(shell))
    .addCommand(reportCommand(shell));
}

function scanCommand(shell: Shell): Command {
  return newCommand(
    'scan',
    'run every test of keys and devices over the whole ledger; where it was cut short it goes on',
    'birthmark hygiene scan',
  ).action(async (options: CommonOptions) => {
    const report = await withApi(homeOf(options), shell.environment, async (call) => {
      for (let afresh = true; ; afresh = false) {
        const scan = parseScan(await call('POST', '/hygiene/scan', { afresh }), '');
        if (scan.endedAt !== undefined) return call('GET', '/hygiene');
        shell.note(
          `${scan.percent} %: ${scan.devices} devices and ${scan.certificates} certificates so far …`,
        );
      }
    });
    if (options.json) return shell.out(JSON.stringify(report));
    tell(shell, parseReport(report, ''));
  });
}

function reportCommand(shell: Shell): Command {
  return newCommand(
    'report',
    'show what the last scan found; each line is a selection for a campaign',
    'birthmark hygiene report --json',
  ).action(async (options: CommonOptions) => {
    const report = await withApi(homeOf(options), shell.environment, (call) => call('GET', '/hygiene'));
    if (options.json) return shell.out(JSON.stringify(report));
    tell(shell, parseReport(report, ''));
  });
}

function tell(shell: Shell, { scan, isCurrent, lines }: Static<typeof Report>): void {
  if (!scan) {
    shell.out('nothing was looked at yet: birthmark hygiene scan');
    return;
  }
  shell.out(`${scan.devices} devices, ${scan.certificates} certificates, looked at since ${scan.startedAt}`);
  if (scan.primes !== undefined) shell.out(`shared primes: ${scan.primes}`);
  if (!isCurrent)
    shell.out('the scan is not whole, or of older tests than these: birthmark hygiene scan goes on');
  const rows = lines.map(({ finding, certificates, devices }) => [
    finding,
    String(devices),
    String(certificates),
    devices === 0 ? '' : `birthmark campaign plan NAME --finding ${finding}`,
  ]);
  printTable(shell, ['finding', 'devices', 'certificates', 'what takes it'], rows);
}
