import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    pool: 'forks',
    coverage: { include: ['src/**'] },
    projects: [
      {
        extends: true,
        test: {
          name: 'unit',
          // A fresh process for each file would take three times as long; nothing of ours lives in a module.
          isolate: false,
          include: ['test/**/*.test.ts'],
          exclude: ['test/interop/**', 'test/conformance/**'],
          testTimeout: 30_000,
          hookTimeout: 60_000,
        },
      },
      {
        // Other people's programs and real processes: one file after another, so that they do not starve each other.
        extends: true,
        test: {
          name: 'interop',
          include: ['test/interop/**/*.test.ts'],
          fileParallelism: false,
          testTimeout: 180_000,
          hookTimeout: 180_000,
        },
      },
    ],
  },
});
