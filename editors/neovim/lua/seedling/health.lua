-- :checkhealth seedling. Says what is wrong and what to do; changes nothing and starts no engine.

local clients = require('seedling.client')
local command = require('seedling.command')
local quiet = require('seedling.quiet')

local M = {}
local health = vim.health

local ANSWER_TIMEOUT_MS = 3000

local function check_neovim()
  if vim.fn.has('nvim-0.11') == 0 then
    health.error('Neovim 0.11 or later is needed: older versions have no vim.lsp.config')
    return false
  end
  health.ok('Neovim ' .. tostring(vim.version()))
  local _, sentences = require('seedling.options').read()
  for _, sentence in ipairs(sentences) do
    health.warn(sentence, 'see :help seedling-config')
  end
  return true
end

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

--- The file that is asked about: the report itself is a buffer of its own.
---@param client vim.lsp.Client
---@return integer?
local function file_of(client)
  local last = require('seedling.status').last_buffer()
  if last and client.attached_buffers[last] then
    return last
  end
  return next(client.attached_buffers)
end

---@param told table The answer of seedling.status.
local function check_engine(told)
  local state = ('engine: %s'):format(told.message ~= '' and told.message or told.kind or 'no state')
  if told.kind == 'Error' then
    health.error(state, '`seedling doctor` in a terminal looks closer')
  elseif told.busy then
    health.warn(state, 'wait until it has loaded')
  else
    health.ok(state)
  end
  if told.model then
    health.info(('model %s on %s'):format(told.model, told.device or 'an unnamed device'))
  end
  if type(told.languages) == 'table' and #told.languages > 0 then
    health.info('languages: ' .. table.concat(told.languages, ', '))
  end
  if type(told.snoozedUntilS) == 'number' then
    health.warn('snoozed until ' .. os.date('%H:%M', math.floor(told.snoozedUntilS)), ':Seedling snooze 0 ends it')
  end
end

---@param buffer integer
---@param told table
local function check_file(buffer, told)
  local name = vim.fn.fnamemodify(vim.api.nvim_buf_get_name(buffer), ':~:.')
  local document, last = told.document or {}, told.last or {}
  local sentence = quiet.reason(buffer) or document.sentence
  if quiet.reason(buffer) or document.reason then
    health.warn(('%s gets no ghost text: %s'):format(name, sentence or document.reason))
  else
    health.ok(('%s may get ghost text'):format(name))
  end
  if type(last.sentence) == 'string' and last.sentence ~= '' then
    health.info('the last answer: ' .. last.sentence)
  end
end

local function report_latencies()
  local latencies = require('seedling.ask').latencies()
  if #latencies == 0 then
    health.info('nothing has been asked yet')
    return
  end
  local times_ms, num_with_text = {}, 0
  for i, latency in ipairs(latencies) do
    times_ms[i] = latency.ms
    num_with_text = num_with_text + (latency.num_items > 0 and 1 or 0)
  end
  table.sort(times_ms)
  local median_ms, slowest_ms = times_ms[math.ceil(#times_ms / 2)], times_ms[#times_ms]
  local line = 'latency of the last answers (%d): median %.0f ms, slowest %.0f ms; %d of them held text'
  health.info(line:format(#latencies, median_ms, slowest_ms, num_with_text))
end

---@param client vim.lsp.Client
local function check_client(client)
  local info = client.server_info or {}
  local root = client.root_dir or 'none'
  health.ok(('server %d: %s %s, root %s'):format(client.id, info.name or '?', info.version or '', root))
  if not client:supports_method(clients.METHOD) then
    health.warn(('server %d offers no ghost text'):format(client.id), 'see :Seedling status for the reason')
    return
  end
  local buffer = file_of(client)
  if not buffer then
    return
  end
  local told, problem = clients.status(client, buffer, ANSWER_TIMEOUT_MS)
  if told then
    check_engine(told)
    check_file(buffer, told)
  else
    health.error('the server does not tell its state: ' .. (problem or 'no reason given'), ':Seedling restart')
  end
end

local function check_clients()
  if not vim.lsp.is_enabled('seedling') then
    health.warn('the server is not enabled', "put vim.lsp.enable('seedling') into your init.lua")
  end
  if #clients.all() == 0 then
    health.info('no server is running; open a Python file to start one')
    return
  end
  vim.iter(clients.all()):each(check_client)
  if not require('seedling.suggest').is_on() then
    health.warn('ghost text is off', ':Seedling toggle')
  end
  report_latencies()
end

function M.check()
  health.start('Seedling')
  if not check_neovim() then
    return
  end
  check_program()
  check_clients()
  health.info('log of the server: ' .. command.log_path())
  health.info('log of the LSP client: ' .. command.lsp_log_path())
end

return M
