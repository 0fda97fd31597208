import cluster from 'node:cluster';
import { existsSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import type { Command } from 'commander';
import { type CommonOptions, homeOf, newCommand, type Shell, wholeNumber } from '../command.ts';
import { type LoadedConfig, loadConfig } from '../config/load-config.ts';

interface ServeCommandOptions extends CommonOptions {
  readonly init?: boolean;
  readonly readyFile?: string;
  readonly workers?: number;
  readonly publicPort?: number;
  readonly tlsPort?: number;
  readonly brokerAuthPort?: number;
  readonly broker?: boolean;
  readonly mqttPort?: number;
  readonly mqttWsPort?: number;
}

export function serveCommand(shell: Shell): Command {
  const port = wholeNumber(0, 65_535);
  return newCommand(
    'serve',
    'serve the home until SIGINT or SIGTERM',
    'birthmark serve --workers 2 --ready-file /run/birthmark/ready.json',
  )
    .option('--init', 'make the home first if there is none')
    .option('--workers <n>', 'processes that serve the network', wholeNumber(1, 64))
    .option('--public-port <port>', 'port of the public listener, 0 for any free one', port)
    .option('--tls-port <port>', 'port of the TLS listener, 0 for any free one', port)
    .option(
      '--broker-auth-port <port>',
      'port where other brokers ask the gate; any free one where --tls-port is given and this is not',
      port,
    )
    .option('--broker', 'also serve an MQTT broker, with the gate in it (MQTT 3.1.1)')
    .option('--mqtt-port <port>', 'port of the broker, 0 for any free one', port)
    .option('--mqtt-ws-port <port>', 'port of the broker for WebSocket, 0 for any free one', port)
    .option('--ready-file <file>', 'write the addresses there once every listener accepts')
    .action(async (options: ServeCommandOptions) => {
      const home = homeOf(options);
      if (options.init && cluster.isPrimary && !existsSync(home.pem('bundle'))) {
        const { makeHome, reportInit } = await import('./init.ts');
        reportInit(shell, { home: options.home }, home, await makeHome(home, options, shell.environment));
      }
      const loaded = withOverrides(loadConfig(home.config), options);
      // A supervisor has little to do and should leave the memory to its workers: its young generation stays small.
      if (cluster.isPrimary && loaded.config.workers > 1) setFlagsFromString('--semi-space-growth-factor=1');
      const { serve } = await import('../serve/serve.ts');
      await serve({
        home,
        loaded,
        environment: shell.environment,
        broker: options.broker ?? false,
        ...(options.readyFile === undefined ? {} : { readyFile: options.readyFile }),
        onReady: (addresses) => {
          if (options.json) shell.out(JSON.stringify(addresses));
          else
            shell.out(
              `serving ${home.path}\n  public  ${addresses.public}\n  tls     ${addresses.tls}   (API ${addresses.tls}/api/v1/docs)${
                addresses.constrained === undefined ? '' : `\n  constrained  ${addresses.constrained}`
              }${addresses.brokerAuth === undefined ? '' : `\n  broker-auth  ${addresses.brokerAuth}`}${addresses.mqtt === undefined ? '' : `\n  mqtt    ${addresses.mqtt}`}${
                addresses.mqttWs === undefined ? '' : `\n  mqtt-ws ${addresses.mqttWs}`
              }\nstop with Ctrl-C`,
            );
        },
      });
    });
}

function withOverrides(
  loaded: LoadedConfig,
  { workers, publicPort, tlsPort, brokerAuthPort, mqttPort, mqttWsPort }: ServeCommandOptions,
): LoadedConfig {
  const { config } = loaded;
  const listen = {
    ...config.listen,
    ...(publicPort === undefined ? {} : { publicPort }),
    ...(tlsPort === undefined ? {} : { tlsPort }),
    ...(mqttPort === undefined ? {} : { mqttPort }),
    ...(mqttWsPort === undefined ? {} : { mqttWsPort }),
  };
  // Who moves the others wants a second house beside a first one.
  const askedPort = brokerAuthPort ?? (tlsPort === undefined ? undefined : 0);
  const { brokerAuth } = config;
  return {
    ...loaded,
    config: {
      ...config,
      listen,
      ...(brokerAuth &&
        askedPort !== undefined && {
          brokerAuth: { ...brokerAuth, listen: { ...brokerAuth.listen, port: askedPort } },
        }),
      ...(workers === undefined ? {} : { workers }),
    },
  };
}
