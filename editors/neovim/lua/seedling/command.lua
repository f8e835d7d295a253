-- :Seedling and its subcommands. A wrong use gets one sentence and changes nothing.
-- Leaves out: what the server does with snoozing and switches; it forgets them when it ends.

local clients = require('seedling.client')
local status = require('seedling.status')

local M = {}

local RESTART_TIMEOUT_MS = 8000
local SNOOZE_MIN = 10

---@param sentence string
local function say(sentence)
  vim.notify('Seedling: ' .. sentence)
end

---@param sentence string
local function complain(sentence)
  vim.notify('Seedling: ' .. sentence, vim.log.levels.ERROR)
end

---@type table<integer, table<string, boolean>> What was switched off, by client: a restarted server has forgotten it.
local switched_off = {}

--- Has the server do something for the current buffer and says so.
---@param command string
---@param arguments any[]
---@param sentence string
---@param on_done? fun()
local function order(command, arguments, sentence, on_done)
  local client = clients.of(vim.api.nvim_get_current_buf())
  if not client then
    complain('no server serves this buffer (:checkhealth seedling may tell why)')
    return
  end
  clients.execute(client, command, arguments, function(_, problem)
    if problem then
      complain(problem)
      return
    end
    if on_done then
      on_done()
    end
    say(sentence)
  end)
end

---@param what string What people call it.
---@param command string
---@param subject string URI or language.
local function switch(what, command, subject)
  local client = clients.of(vim.api.nvim_get_current_buf())
  local off = client and switched_off[client.id] or {}
  local on = off[subject] == true
  order(command, { subject, on }, ('ghost text %s for %s'):format(on and 'on' or 'off', what), function()
    off[subject] = not on or nil
    switched_off[assert(client).id] = off
    if not on then
      require('seedling.suggest').leave()
    end
  end)
end

local function toggle_all()
  local suggest = require('seedling.suggest')
  suggest.switch(not suggest.is_on())
  say('ghost text ' .. (suggest.is_on() and 'on' or 'off'))
end

---@param what? string
local function toggle(what)
  local buffer = vim.api.nvim_get_current_buf()
  if not what then
    toggle_all()
  elseif what == 'buffer' then
    switch('this buffer', 'seedling.setDocument', vim.uri_from_bufnr(buffer))
  elseif what == 'language' then
    local client = clients.of(buffer)
    local kind = vim.bo[buffer].filetype
    local language = client and client.get_language_id(buffer, kind) or kind
    switch(kind .. ' files', 'seedling.setLanguage', language)
  else
    complain(('there is no :Seedling toggle %s; there are buffer and language'):format(what))
  end
end

---@param given? string
local function snooze(given)
  local minutes = given == nil and SNOOZE_MIN or tonumber(given)
  if not minutes or minutes < 0 or minutes ~= minutes or minutes == math.huge then
    complain(('%q is not a number of minutes'):format(given))
    return
  end
  local quiet = ('quiet for %g minutes (:Seedling snooze 0 ends it)'):format(minutes)
  local sentence = minutes == 0 and 'awake again' or quiet
  order('seedling.snooze', { minutes }, sentence, function()
    if minutes > 0 then
      require('seedling.suggest').leave()
    end
  end)
end

local function restart()
  local running = clients.all()
  status.set(nil)
  for _, client in ipairs(running) do
    client:stop()
  end
  local waited_ms, step_ms = 0, 50
  local timer = assert(vim.uv.new_timer())
  timer:start(
    0,
    step_ms,
    vim.schedule_wrap(function()
      waited_ms = waited_ms + step_ms
      if #clients.all() > 0 and waited_ms < RESTART_TIMEOUT_MS then
        return
      end
      if not timer:is_closing() then
        timer:close()
        vim.lsp.enable('seedling') -- starts it for the buffers that are open
      end
    end)
  )
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

---@return string
function M.lsp_log_path()
  return vim.lsp.log and vim.lsp.log.get_filename() or vim.lsp.get_log_path()
end

--- Opens the server's log; where there is none, Neovim's LSP log, which says why a server did not start.
local function log()
  local path = M.log_path()
  vim.cmd.tabedit(vim.fn.fnameescape(vim.uv.fs_stat(path) and path or M.lsp_log_path()))
  vim.bo.autoread = true
  vim.cmd.normal({ 'G', bang = true })
end

---@param how? string
local function watch(how)
  if how and how ~= 'plain' then
    complain(('there is no :Seedling watch %s; there is plain'):format(how))
  else
    require('seedling.watch').start(how == 'plain')
  end
end

---@class seedling.Subcommand
---@field run fun(argument?: string, rows?: [integer, integer])
---@field arguments? string[] What is offered for its argument; nil where it takes none.
---@field takes_words? boolean Whether all that follows is its argument.
---@field takes_rows? boolean

---@type table<string, seedling.Subcommand>
local subcommands = {
  status = {
    run = function()
      vim.notify(status.line())
    end,
  },
  toggle = { run = toggle, arguments = { 'buffer', 'language' } },
  snooze = { run = snooze, arguments = { '0', '10', '30', '60' } },
  trigger = {
    run = function()
      -- From the command line Insert mode is entered first: ghost text is not for Normal mode.
      if not vim.startswith(vim.api.nvim_get_mode().mode, 'i') then
        vim.cmd.startinsert({ bang = true })
      end
      vim.schedule(require('seedling.suggest').trigger)
    end,
  },
  rewrite = {
    run = function(instruction, rows)
      require('seedling.ask_rewrite').start(instruction, rows)
    end,
    takes_words = true,
    takes_rows = true,
  },
  watch = { run = watch, arguments = { 'plain' } },
  restart = { run = restart },
  log = { run = log },
  health = {
    run = function()
      vim.cmd.checkhealth('seedling')
    end,
  },
}

---@param words string[]
---@param rows? [integer, integer] From 1.
function M.run(words, rows)
  local name = words[1] or 'status'
  local subcommand = subcommands[name]
  if not subcommand then
    local known = table.concat(vim.fn.sort(vim.tbl_keys(subcommands)), ', ')
    complain(('there is no :Seedling %s; there are %s'):format(name, known))
  elseif rows and not subcommand.takes_rows then
    complain((':Seedling %s takes no range'):format(name))
  elseif subcommand.takes_words then
    subcommand.run(words[2] and table.concat(words, ' ', 2), rows)
  elseif #words > (subcommand.arguments and 2 or 1) then
    complain((':Seedling %s takes %s'):format(name, subcommand.arguments and 'one argument' or 'no argument'))
  else
    subcommand.run(words[2])
  end
end

--- Completion of the command line.
---@param typed string
---@param line string
---@return string[]
function M.complete(typed, line)
  local words = vim.split(line:match('^%s*%S*Seedling!?%s+(.*)$') or '', '%s+')
  local choices = #words > 1 and (subcommands[words[1]] or {}).arguments or nil
  if #words == 1 then
    choices = vim.fn.sort(vim.tbl_keys(subcommands))
  end
  return vim.tbl_filter(function(choice)
    return vim.startswith(choice, typed)
  end, #words <= 2 and choices or {})
end

return M
