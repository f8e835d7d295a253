-- The ghost text of the buffer that is typed into: shown, kept while it is typed along, accepted in whole or in part.
-- One at a time, in Insert mode only. Why not vim.lsp.inline_completion: it cannot accept a word and keep the rest,
-- draws expired text against a moved cursor, cancels nothing, waits 200 ms, and is not there on Neovim 0.11.
-- Leaves out: asking (ask.lua), drawing (draw.lua), what fits (ghost.lua).

local ask = require('seedling.ask')
local clients = require('seedling.client')
local draw = require('seedling.draw')
local ghosts = require('seedling.ghost')
local options = require('seedling.options')
local quiet = require('seedling.quiet')
local text = require('seedling.text')

local M = {}

local group = vim.api.nvim_create_augroup('seedling.ghost', {})
local at_start, sentences = options.read()
local unasked = at_start.ghost_text
for _, sentence in ipairs(sentences) do
  vim.notify('Seedling: ' .. sentence, vim.log.levels.WARN)
end
---@type seedling.Ghost?
local ghost
---@class seedling.Dismissed A line that was not wanted, as it would have become.
---@field buffer integer
---@field row integer
---@field line string

---@type seedling.Dismissed?
local dismissed

---@param name string
---@param data? table
local function tell(name, data)
  vim.api.nvim_exec_autocmds('User', { pattern = 'Seedling' .. name, data = data, modeline = false })
end

local function hide()
  local was_shown = ghost ~= nil
  ghost = nil
  draw.clear()
  if was_shown then
    tell('Hidden')
  end
end

---@param rest seedling.Rest
---@return boolean
local function was_dismissed(rest)
  local place = ghosts.place(vim.api.nvim_get_current_buf())
  return dismissed ~= nil
    and dismissed.buffer == place.buffer
    and dismissed.row == place.row
    and dismissed.line == place.line:sub(1, place.column) .. rest.text
end

--- Draws what is left of the ghost text.
---@param with_index? boolean
---@return boolean drawn false where it fits no more, or may not be drawn here.
local function redraw(with_index)
  local rest = ghost and ghosts.rest(ghost)
  if not ghost or not rest or was_dismissed(rest) or not quiet.may_show(ghost.place.buffer) then
    return false
  end
  local hint = with_index and (' (%d/%d)'):format(ghost.index, #ghost.items) or nil
  draw.show(ghosts.place(ghost.place.buffer), rest, hint)
  local item, client = ghosts.item(ghost), vim.lsp.get_client_by_id(ghost.client_id)
  if not item.was_shown and client then
    item.was_shown = true
    clients.shown(client, item.raw)
    tell('Shown', { text = rest.text })
  end
  return true
end

---@param answer? seedling.Ghost
---@param with_index? boolean
---@return boolean shown
local function show(answer, with_index)
  local was_shown = ghost ~= nil
  ghost = answer
  if redraw(with_index) then
    return true
  end
  ghost = nil
  draw.clear()
  if was_shown then
    tell('Hidden')
  end
  return false
end

--- After whatever happened in the buffer: keeps the ghost text that still fits, else asks for another.
---@param buffer integer
local function refresh(buffer)
  if not quiet.may_show(buffer) then
    M.leave()
    return
  end
  if redraw() then
    return -- nothing better could come, and what was shown keeps its id: parts of it are counted from its start
  end
  hide()
  if unasked then
    ask.soon(buffer, options.read().delay_ms, show)
  end
end

--- Nothing is shown nor asked for any more.
function M.leave()
  ask.cancel()
  hide()
end

--- Shows ghost text in a buffer from now on. Can be called again.
---@param buffer integer
function M.watch(buffer)
  vim.api.nvim_clear_autocmds({ group = group, buffer = buffer })
  local function on(events, callback)
    vim.api.nvim_create_autocmd(events, { group = group, buffer = buffer, callback = callback })
  end
  on({ 'InsertEnter', 'TextChangedI', 'TextChangedP', 'CursorMovedI', 'CompleteDone' }, function()
    -- During InsertEnter the mode is still the old one, during CompleteDone the menu is still there.
    vim.schedule(function()
      if vim.api.nvim_get_current_buf() == buffer and not ghost then
        refresh(buffer)
      end
    end)
  end)
  -- At once: ghost text moves before the screen is drawn, so it does not flicker.
  on({ 'TextChangedI', 'TextChangedP', 'CursorMovedI' }, function()
    if ghost then
      refresh(buffer)
    end
  end)
  on({ 'InsertLeave', 'BufLeave' }, function()
    dismissed = nil
    M.leave()
  end)
  on('CompleteChanged', hide)
  on('InsertEnter', function()
    quiet.follow_cmp(M.menu_changed)
  end)
end

---@param buffer integer
function M.unwatch(buffer)
  vim.api.nvim_clear_autocmds({ group = group, buffer = buffer })
  if ghost and ghost.place.buffer == buffer then
    M.leave()
  end
end

--- A completion menu of another plugin has opened or closed.
function M.menu_changed()
  local buffer = vim.api.nvim_get_current_buf()
  if clients.of(buffer) then
    refresh(buffer)
  end
end

---@return boolean
function M.visible()
  return ghost ~= nil and quiet.may_show(ghost.place.buffer) and ghosts.rest(ghost) ~= nil
end

--- Writes `piece` of the rest at the cursor, as one change of its own for undo.
---@param rest seedling.Rest
---@param piece string
local function write(rest, piece)
  local cursor = vim.api.nvim_win_get_cursor(0)
  local row, column = cursor[1] - 1, cursor[2]
  local num_replaced = #rest.replaced
  if piece ~= rest.text then
    local _, num_used = text.insertions(piece, rest.replaced)
    num_replaced = num_used
  end
  local lines = vim.split(piece, '\n')
  vim.bo.undolevels = vim.bo.undolevels -- begins a new undo step
  vim.api.nvim_buf_set_text(0, row, column, row, column + num_replaced, lines)
  vim.api.nvim_win_set_cursor(0, { row + #lines, (#lines == 1 and column or 0) + #lines[#lines] })
end

---@param item seedling.Item
---@param client? vim.lsp.Client
---@param typed string What of the item is in the buffer now.
---@param is_whole boolean Whether it was accepted with one key.
local function report(item, client, typed, is_whole)
  if not client then
    return
  end
  if is_whole and item.raw.command then
    clients.execute(client, item.raw.command.command, item.raw.command.arguments or {})
  else
    clients.accepted_part(client, item.raw, ghosts.num_units(item, typed))
  end
end

---@alias seedling.Amount 'all'|'word'|'line'

--- Accepts ghost text, or as much of it as `amount` says; the rest stays on the screen.
---@param amount seedling.Amount
---@return boolean accepted false where there is nothing to accept: a mapping can then do what the key does else.
function M.accept(amount)
  local rest = M.visible() and ghost and ghosts.rest(ghost)
  if not ghost or not rest then
    return false
  end
  local piece = amount == 'word' and text.first_word(rest.text)
    or amount == 'line' and text.first_line(rest.text)
    or rest.text
  local accepted = ghost
  local ran, problem = pcall(write, rest, piece)
  if not ran then
    -- An <expr> mapping must not change text. The key is sent instead, before whatever has been typed since.
    assert(tostring(problem):find('E565', 1, true), problem)
    local suffix = amount == 'all' and '' or '-' .. amount
    vim.api.nvim_feedkeys(vim.keycode(('<Plug>(seedling-accept%s)'):format(suffix)), 'im', false)
    return true
  end
  local item, client = ghosts.item(accepted), vim.lsp.get_client_by_id(accepted.client_id)
  report(item, client, rest.typed .. piece, amount == 'all')
  tell('Accepted', { text = piece, amount = amount })
  refresh(accepted.place.buffer)
  return true
end

--- Asks by hand: also where ghost text is switched off, and for alternatives.
---@param on_answer fun(answer?: seedling.Ghost)
---@return boolean asked
local function ask_by_hand(on_answer)
  local buffer = vim.api.nvim_get_current_buf()
  return quiet.may_show(buffer) and ask.now(buffer, ask.trigger.invoked, on_answer)
end

function M.trigger()
  dismissed = nil
  local buffer = vim.api.nvim_get_current_buf()
  local asked = ask_by_hand(function(answer)
    if not show(answer) then
      require('seedling.status').explain(buffer)
    end
  end)
  if not asked then
    require('seedling.status').explain(buffer)
  end
end

---@param step integer
local function select(step)
  if ghost and #ghost.items > 1 then
    ghost.index = (ghost.index - 1 + step) % #ghost.items + 1
    ghost.num_typed = 0
    show(ghost, true)
  end
end

--- Shows the next alternative, or with a negative `step` the one before.
---@param step integer
function M.cycle(step)
  if not M.visible() or not ghost then
    return
  end
  if #ghost.items > 1 then
    select(step)
    return
  end
  local before = assert(ghosts.rest(ghost)).text
  ask_by_hand(function(answer)
    local had = ghost
    if not answer or not show(answer) then
      show(had)
      return
    end
    -- What is on the screen already is not the next one.
    local rest = ghost and ghosts.rest(ghost)
    if rest and rest.text == before then
      select(step)
    end
  end)
end

--- Takes the ghost text away until something else would be suggested.
function M.dismiss()
  local rest = ghost and ghosts.rest(ghost)
  if rest then
    local place = ghosts.place(vim.api.nvim_get_current_buf())
    dismissed = { buffer = place.buffer, row = place.row, line = place.line:sub(1, place.column) .. rest.text }
  end
  M.leave()
end

--- Whether ghost text comes unasked.
---@return boolean
function M.is_on()
  return unasked
end

---@param on boolean
function M.switch(on)
  unasked = on
  if on then
    M.menu_changed()
  else
    M.leave()
  end
end

return M
