-- What mappings, statuslines and configurations may call. Nothing else is loaded before it is needed.
-- Leaves out: commands (command.lua), the autocommands that start it all (plugin/seedling.lua).

local M = {}

--- Accepts the ghost text. false where there is none: the key can then do what it does else.
---@return boolean accepted
function M.accept()
  return require('seedling.suggest').accept('all')
end

--- Accepts the next word of the ghost text; the rest stays.
---@return boolean accepted
function M.accept_word()
  return require('seedling.suggest').accept('word')
end

--- Accepts the ghost text to the end of its line; the rest stays.
---@return boolean accepted
function M.accept_line()
  return require('seedling.suggest').accept('line')
end

--- Whether there is ghost text to accept.
---@return boolean
function M.visible()
  return require('seedling.suggest').visible()
end

--- Shows the next alternative; the first time others are asked for.
function M.next()
  require('seedling.suggest').cycle(1)
end

--- Shows the alternative before.
function M.previous()
  require('seedling.suggest').cycle(-1)
end

--- Takes the ghost text away until something else would be suggested.
function M.dismiss()
  require('seedling.suggest').dismiss()
end

--- Asks now, also where ghost text is switched off.
function M.trigger()
  require('seedling.suggest').trigger()
end

--- Applies the next edit, or goes there where it is out of sight. false where there is none.
---@return boolean accepted
function M.accept_edit()
  return require('seedling.next_edit').accept()
end

--- Takes the next edit away for good. false where there is none.
---@return boolean dismissed
function M.dismiss_edit()
  return require('seedling.next_edit').dismiss()
end

--- Asks for the next edit now; if there is none, says why.
function M.suggest_edit()
  require('seedling.next_edit').suggest()
end

--- Whether there is a next edit to accept.
---@return boolean
function M.edit_visible()
  return require('seedling.next_edit').visible()
end

--- Rewrites what is selected, or the statement at the cursor.
---@param instruction? string Asked for where there is none.
function M.rewrite(instruction)
  require('seedling.ask_rewrite').start(instruction)
end

--- Applies the rewrite that is shown. false where there is none.
---@return boolean accepted
function M.accept_rewrite()
  return require('seedling.rewrite').accept()
end

--- Ends the rewrite that is written or shown; nothing is changed. false where there is none.
---@return boolean rejected
function M.reject_rewrite()
  return require('seedling.rewrite').reject()
end

--- Tries the rewrite that is shown again, with another seed. false where there is none.
---@return boolean asked
function M.retry_rewrite()
  return require('seedling.rewrite').retry()
end

--- Shows how the completion at the cursor is written; inserts nothing.
---@param is_plain? boolean As lines of words, for screen readers.
function M.watch(is_plain)
  require('seedling.watch').start(is_plain == true)
end

--- One line for people: what the server is doing, and why the current buffer gets no ghost text.
---@return string
function M.status()
  return require('seedling.status').line()
end

--- A few characters for a 'statusline' or lualine, % escaped; '' in buffers that Seedling does not serve.
---@return string
function M.statusline()
  return require('seedling.status').statusline()
end

--- A buffer has been entered: tells the servers which document has the focus.
---@param buffer integer
function M.entered(buffer)
  if #require('seedling.client').all(buffer) > 0 then
    require('seedling.status').entered(buffer)
  end
  require('seedling.client').focus(buffer)
end

--- The same as setting vim.g.seedling before the plugin loads; there is no need to call it.
---@param options? seedling.Options
function M.setup(options)
  vim.g.seedling = vim.tbl_extend('force', vim.g.seedling or {}, options or {})
end

return M
