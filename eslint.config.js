import js from '@eslint/js';
import tseslint from 'typescript-eslint';

export default tseslint.config(
  { ignores: ['.build', 'var', 'node_modules', '**/*.cjs'] },
  js.configs.recommended,
  ...tseslint.configs.strictTypeChecked,
  {
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      // knex builders are lazy thenables: one that nobody awaits never runs, and no default rule says so.
      '@typescript-eslint/no-floating-promises': ['error', { checkThenables: true }],
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true }],
      '@typescript-eslint/no-confusing-void-expression': ['error', { ignoreArrowShorthand: true }],
      'max-lines-per-function': ['error', { max: 70, skipBlankLines: true, skipComments: true, IIFEs: true }],
      'no-console': 'error',
      // Row types are our word for what the driver gives, so a conversion may be needed where the type says it is not.
      '@typescript-eslint/no-unnecessary-type-conversion': 'off',
      // knex's where-callbacks return builders, which look like promises.
      '@typescript-eslint/no-misused-promises': ['error', { checksVoidReturn: { arguments: false } }],
      '@typescript-eslint/no-unsafe-class-instance-assignment': 'off',
      '@typescript-eslint/no-misused-spread': 'off',
      // asId<LoginId>(text) names a row's kind where SQL gives text.
      '@typescript-eslint/no-unnecessary-type-parameters': 'off',
    },
  },
  {
    files: ['test/**'],
    rules: {
      '@typescript-eslint/no-unused-expressions': 'off',
      'max-lines-per-function': 'off',
    },
  },
  { files: ['scripts/**', 'src/cli/**'], rules: { 'no-console': 'off' } },
  { files: ['*.js', 'templates/**/*.js'], ...tseslint.configs.disableTypeChecked },
  {
    // What the browser gives these. Their one function keeps names out of the page's.
    files: ['templates/**/*.js'],
    rules: { 'max-lines-per-function': 'off' },
    languageOptions: {
      parserOptions: { projectService: false },
      globals: Object.fromEntries(
        [
          'document',
          'window',
          'localStorage',
          'getComputedStyle',
          'setTimeout',
          'clearTimeout',
          'Event',
          'Element',
          'HTMLElement',
          'HTMLInputElement',
          'HTMLFormElement',
          'uPlot',
          'htmx',
          'URL',
          'URLSearchParams',
          'location',
          'history',
          'navigator',
          'requestAnimationFrame',
          'matchMedia',
          'Intl',
          'MutationObserver',
          'CustomEvent',
        ].map((name) => [name, 'readonly']),
      ),
    },
  },
);
