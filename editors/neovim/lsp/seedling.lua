-- The language server's configuration for Neovim's built-in client: data only, used by vim.lsp.enable('seedling').
-- Works alone: copy this file into an lsp/ folder on 'runtimepath'. Change fields with vim.lsp.config('seedling', …).
-- Leaves out: keys, commands, ghost text on or off; see plugin/seedling.lua.

---@type vim.lsp.Config
return {
  cmd = { 'seedling', 'serve' },
  -- Never the project's folder: a program that is started there could pick up the project's own files.
  cmd_cwd = vim.uv.os_homedir(),
  filetypes = { 'python' },
  root_markers = { { 'pyproject.toml', 'setup.py', 'setup.cfg' }, '.git' },
  -- A server that does not leave when asked to is ended after this many milliseconds.
  exit_timeout = 3000,
}
