-- What :Seedling and the ghost-text switch do. The server is thin to us: a client named 'seedling' of Neovim's own LSP.
-- Leaves out: drawing ghost text (vim.lsp.inline_completion does), accepting words or lines of it (core cannot yet).

local M = {}

---@class seedling.Status The parameters of the server's didChangeStatus.
---@field kind 'Normal'|'Warning'|'Error'|'Inactive'
---@field busy boolean
---@field message string

---@type seedling.Status?
local status
local ghost_text = vim.tbl_get(vim.g, 'seedling', 'ghost_text') ~= false

---@return vim.lsp.Client[]
local function clients()
  return vim.lsp.get_clients({ name = 'seedling' })
end

---@param new_status seedling.Status
function M.set_status(new_status)
  status = new_status
  vim.api.nvim_exec_autocmds('User', { pattern = 'SeedlingStatus', data = new_status, modeline = false })
end

---@param client vim.lsp.Client
---@param buffer integer
function M.attach(client, buffer)
  -- Core counts a buffer as off and a client as on until told otherwise. The buffer is switched on here, once; the
  -- user's switch is the client's, so that other servers' ghost text is left alone.
  vim.lsp.inline_completion.enable(true, { bufnr = buffer })
  vim.lsp.inline_completion.enable(ghost_text, { client_id = client.id })
end

--- One line for people. Also fit for a statusline: %{v:lua.require'seedling'.status()}
---@return string
function M.status()
  if #clients() == 0 then
    return 'Seedling: not running (:checkhealth seedling may tell why)'
  end
  local text = status and status.message or ''
  if text == '' then
    text = not status and 'running' or status.kind == 'Normal' and 'ready' or status.kind:lower()
  end
  if status and status.busy then
    text = text .. ' …'
  end
  return 'Seedling: ' .. text .. (ghost_text and '' or ' (ghost text off)')
end

function M.toggle()
  ghost_text = not ghost_text
  for _, client in ipairs(clients()) do
    vim.lsp.inline_completion.enable(ghost_text, { client_id = client.id })
  end
  vim.notify('Seedling: ghost text ' .. (ghost_text and 'on' or 'off'))
end

function M.restart()
  status = nil
  if #clients() > 0 then
    vim.cmd('lsp restart seedling')
  else
    vim.cmd('lsp enable seedling')
  end
end

--- Where the server writes its log; the same folders as Python's platformdirs.
---@return string
function M.log_path()
  local folder
  if vim.fn.has('win32') == 1 then
    folder = vim.env.LOCALAPPDATA
  elseif vim.fn.has('mac') == 1 then
    folder = vim.fs.joinpath(vim.uv.os_homedir(), 'Library/Application Support')
  else
    folder = vim.env.XDG_STATE_HOME or vim.fs.joinpath(vim.uv.os_homedir(), '.local/state')
  end
  return vim.fs.joinpath(folder, 'seedling/server.log')
end

--- Opens the server's log; where there is none, Neovim's LSP log, which says why a server did not start.
function M.log()
  local path = M.log_path()
  vim.cmd.tabedit(vim.fn.fnameescape(vim.uv.fs_stat(path) and path or vim.lsp.log.get_filename()))
  vim.bo.autoread = true
  vim.cmd.normal({ 'G', bang = true })
end

local commands = {
  status = function()
    vim.notify(M.status())
  end,
  toggle = M.toggle,
  restart = M.restart,
  log = M.log,
}

---@param name string
function M.command(name)
  if commands[name] then
    commands[name]()
  else
    vim.notify(('Seedling: no command %q; there are status, toggle, restart, log'):format(name), vim.log.levels.ERROR)
  end
end

return M
