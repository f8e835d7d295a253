-- :checkhealth seedling. Says what is wrong and what to do; changes nothing and starts no engine.

local M = {}
local health = vim.health

local function check_program()
  local cmd = vim.lsp.config.seedling.cmd
  if type(cmd) ~= 'table' then
    health.info('the server is reached by a function given to vim.lsp.config')
    return
  end
  local program = vim.fn.exepath(cmd[1])
  if program == '' then
    health.error(
      ('`%s` is not on PATH'):format(cmd[1]),
      "install Seedling, or vim.lsp.config('seedling', { cmd = { '/path/to/seedling', 'serve' } })"
    )
    return
  end
  local ran, result = pcall(function()
    return vim.system({ program, '--version' }, { text = true, cwd = vim.uv.os_homedir() }):wait(20000)
  end)
  if ran and result.code == 0 then
    health.ok(('%s (%s)'):format(program, vim.trim(result.stdout)))
  else
    local why = ran and vim.trim(result.stderr or '') or tostring(result)
    health.error(('%s does not run: %s'):format(program, why), 'run it with --version in a terminal')
  end
end

local function check_clients()
  if not vim.lsp.is_enabled('seedling') then
    health.warn('the server is not enabled', "put vim.lsp.enable('seedling') into your init.lua")
  end
  local clients = vim.lsp.get_clients({ name = 'seedling' })
  if #clients == 0 then
    health.info('no server is running; open a Python file to start one')
    return
  end
  for _, client in ipairs(clients) do
    local info = client.server_info or {}
    local root = client.root_dir or 'none'
    health.ok(('server %d: %s %s, root %s'):format(client.id, info.name or '?', info.version or '', root))
    if not client:supports_method('textDocument/inlineCompletion') then
      health.warn(('server %d offers no ghost text'):format(client.id), 'see :Seedling status for the reason')
    end
  end
  health.info(require('seedling').status())
end

function M.check()
  health.start('Seedling')
  if vim.fn.has('nvim-0.12') == 0 then
    health.error('Neovim 0.12 or later is needed: older versions cannot show ghost text')
    return
  end
  health.ok('Neovim ' .. tostring(vim.version()))
  check_program()
  check_clients()
  health.info('log of the server: ' .. require('seedling').log_path())
  health.info('log of the LSP client: ' .. vim.lsp.log.get_filename())
end

return M
