import { defineConfig } from 'vite';
import path from 'node:path';
const ui = path.resolve('node_modules/@grafana/ui/dist/esm');
const empty = path.resolve('app/empty.js');
export default defineConfig({
  root: 'app',
  base: './',
  define: { 'process.env.NODE_ENV': '"production"', 'process.env': '{}', global: 'globalThis' },
  esbuild: { jsx: 'automatic' },
  resolve: {
    alias: [
      { find: /^@gui\/(.*)$/, replacement: ui + '/$1' },
      { find: /^monaco-editor(\/.*)?$/, replacement: empty },
      { find: /^@monaco-editor\/react$/, replacement: empty },
      { find: /^ol(\/.*)?$/, replacement: empty },
    ],
  },
  build: {
    outDir: '../dist',
    emptyOutDir: true,
    chunkSizeWarningLimit: 1e5,
    minify: 'esbuild',
    sourcemap: false,
    target: 'es2022',
    rollupOptions: {
      onwarn() {},
      output: { inlineDynamicImports: true },
      shimMissingExports: true,
    },
  },
});
