import { Command, Option } from 'commander';
import Type from 'typebox';
import { OWN_NAMESPACE } from '../../core/identifiers.ts';
import { schemaParser } from '../../core/schema.ts';
import { DEVICE_STATES } from '../../fleet/ports.ts';
import { withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, type Shell, wholeNumber } from '../command.ts';
import { listAll, printTable } from '../output.ts';
import { deviceActs } from './device-acts.ts';

interface ListOptions extends CommonOptions {
  readonly query?: string;
  readonly state?: string;
  readonly namespace?: string;
  readonly limit: number;
}

interface OneOptions extends CommonOptions {
  readonly namespace: string;
}

/** Why a device is shut out, and what ends it, by cause. */
const WHY_OUT: Readonly<Record<string, string>> = {
  operator: 'it stays out until somebody says birthmark device release',
  gate: 'a gate saw it misbehave; it stays out until somebody says birthmark device release',
  conflict:
    'two hold its identity; it comes back by its IDevID and a new key, or by birthmark device release',
  compromise: 'the key of its IDevID is out; it comes back by a recovery ticket',
  campaign: 'its LDevIDs are to be replaced; it comes back by its IDevID and a new key',
};

const DEFAULT_LIMIT = 100;
const DeviceAnswer = {
  namespace: Type.String(),
  serialNumber: Type.String(),
  state: Type.String(),
  model: Type.Optional(Type.String()),
  batch: Type.Optional(Type.String()),
  createdAt: Type.String(),
  renewalDue: Type.Boolean(),
  rebirthAllowed: Type.Boolean(),
};
const parseDevice = schemaParser(Type.Object(DeviceAnswer), 'internal');
const parseShown = schemaParser(
  Type.Object({
    ...DeviceAnswer,
    quarantine: Type.Optional(Type.Object({ cause: Type.String(), since: Type.String(), by: Type.String() })),
    certificates: Type.Array(
      Type.Object({
        serial: Type.String(),
        profile: Type.String(),
        notBefore: Type.String(),
        notAfter: Type.String(),
        vouchedBy: Type.String(),
        status: Type.Optional(Type.String()),
        revocation: Type.Optional(Type.Object({ reason: Type.Optional(Type.String()) })),
      }),
    ),
  }),
  'internal',
);

export function deviceCommand(shell: Shell): Command {
  const device = new Command('device')
    .description('the devices of the ledger')
    .addCommand(listDevices(shell))
    .addCommand(showDevice(shell))
    .addCommand(allowRebirth(shell));
  for (const act of deviceActs(shell)) device.addCommand(act);
  return device;
}

function listDevices(shell: Shell): Command {
  return newCommand(
    'list',
    'list devices by serial number',
    'birthmark device list --query SN-7 --state manufactured',
  )
    .option('--query <text>', 'beginning of the serial number, or the whole model or batch')
    .addOption(new Option('--state <state>', 'only those').choices([...DEVICE_STATES]))
    .option('--namespace <namespace>', 'only those of ours (own) or of that maker')
    .option('--limit <n>', 'at most so many', wholeNumber(1, 1_000_000), DEFAULT_LIMIT)
    .action(async (options: ListOptions) => {
      const { query, state, namespace } = options;
      const devices = await withApi(homeOf(options), shell.environment, (call) =>
        listAll(call, '/devices', { query, state, namespace }, options.limit),
      );
      if (options.json) return shell.out(JSON.stringify(devices));
      const rows = devices
        .map((device) => parseDevice(device, ''))
        .map(({ serialNumber, state: now, renewalDue, model = '', batch = '', createdAt }) => [
          serialNumber,
          renewalDue ? `${now}, renewal due` : now,
          model,
          batch,
          createdAt,
        ]);
      printTable(shell, ['serial number', 'state', 'model', 'batch', 'known since'], rows);
    });
}

function showDevice(shell: Shell): Command {
  return newCommand('show', 'show a device and its certificates', 'birthmark device show SN-1')
    .argument('<serial-number>')
    .option('--namespace <namespace>', 'of the device', OWN_NAMESPACE)
    .action(async (serialNumber: string, options: OneOptions) => {
      const answer = await withApi(homeOf(options), shell.environment, (call) =>
        call('GET', pathOf(serialNumber, options)),
      );
      if (options.json) return shell.out(JSON.stringify(answer));
      const device = parseShown(answer, '');
      shell.out(
        `${device.namespace}/${device.serialNumber}  ${device.state}, known since ${device.createdAt}`,
      );
      if (device.model !== undefined) shell.out(`model ${device.model}`);
      if (device.batch !== undefined) shell.out(`batch ${device.batch}`);
      const { quarantine: out } = device;
      if (out) shell.out(`quarantined since ${out.since} by ${out.by}: ${WHY_OUT[out.cause] ?? out.cause}`);
      if (device.renewalDue) shell.out('its LDevID is to be renewed');
      if (device.rebirthAllowed) shell.out('one more IDevID with another key is allowed');
      const rows = device.certificates.map((one) => {
        const { serial, profile, notBefore, notAfter, vouchedBy, status = '', revocation } = one;
        const reason = revocation?.reason === undefined ? '' : ` (${revocation.reason})`;
        return [serial, profile, `${status}${reason}`, notBefore, notAfter, vouchedBy];
      });
      printTable(shell, ['certificate', 'profile', 'status', 'not before', 'not after', 'vouched by'], rows);
    });
}

function allowRebirth(shell: Shell): Command {
  return newCommand(
    'allow-rebirth',
    'allow a device one more IDevID with another key',
    'birthmark device allow-rebirth SN-1',
  )
    .argument('<serial-number>')
    .option('--namespace <namespace>', 'of the device', OWN_NAMESPACE)
    .action(async (serialNumber: string, options: OneOptions) => {
      const path = pathOf(serialNumber, options, '/allow-rebirth');
      const answer = await withApi(homeOf(options), shell.environment, (call) => call('POST', path));
      if (options.json) shell.out(JSON.stringify(answer));
      else shell.out(`device ${serialNumber} may be born once more, with another key`);
    });
}

function pathOf(serialNumber: string, { namespace }: OneOptions, act = ''): string {
  return `/devices/${encodeURIComponent(serialNumber)}${act}?namespace=${encodeURIComponent(namespace)}`;
}
