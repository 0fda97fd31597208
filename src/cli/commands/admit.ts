import { Command } from 'commander';
import Type from 'typebox';
import { toBase64 } from '../../core/bytes.ts';
import { schemaParser } from '../../core/schema.ts';
import { toPem } from '../../x509/pem.ts';
import { withApi } from '../api-client.ts';
import { type CommonOptions, homeOf, newCommand, type Shell } from '../command.ts';
import { readAsText } from '../input-file.ts';

interface ExplainOptions extends CommonOptions {
  readonly cert: string;
  readonly csr: string;
  readonly label?: string;
  readonly reenroll?: boolean;
}

const parseExplanation = schemaParser(
  Type.Object({
    admitted: Type.Boolean(),
    steps: Type.Array(Type.Object({ rule: Type.String(), detail: Type.String() })),
    refused: Type.Optional(Type.Object({ code: Type.String(), detail: Type.String() })),
  }),
  'internal',
);

export function admitCommand(shell: Shell): Command {
  const explain = newCommand(
    'explain',
    'tell whether a device would be admitted, rule by rule; exit code 1 if not',
    'birthmark admit explain --cert idevid.pem --csr device.csr --label line-2',
  )
    .requiredOption(
      '--cert <file>',
      "the device's certificate, PEM or DER; a PEM file may hold its chain behind it",
    )
    .requiredOption('--csr <file>', 'its request, PEM or DER')
    .option('--label <label>', 'the label that it comes by (default: the one without a name)')
    .option('--reenroll', 'judge it as a renewal (EST simplereenroll)')
    .action(async (options: ExplainOptions) => {
      const { cert, csr, label, reenroll } = options;
      const answer = await withApi(homeOf(options), shell.environment, (call) =>
        call('POST', '/admission/explain', {
          certificate: readAsText(cert, (der) => toPem('CERTIFICATE', der), {
            code: 'bad-certificate',
            option: '--cert',
          }),
          csr: readAsText(csr, toBase64, { code: 'bad-csr', option: '--csr' }),
          label,
          operation: reenroll ? 'reenroll' : 'enroll',
        }),
      );
      const { steps, refused } = parseExplanation(answer, '');
      if (options.json) shell.out(JSON.stringify(answer));
      else {
        for (const { rule, detail } of steps) shell.out(`ok       ${rule.padEnd(13)}  ${detail}`);
        shell.out(
          refused
            ? `refused  ${refused.code}: ${refused.detail}`
            : 'admitted, unless the ledger knows better: a key of another device, a block, an approval that is missing',
        );
      }
      if (refused) process.exitCode = 1;
    });
  return new Command('admit').description('who may enroll as what').addCommand(explain);
}
