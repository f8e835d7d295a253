-- What the server told about itself and about the document in focus (didChangeStatus, the shape is GitHub Copilot's),
-- as lines for people. Leaves out: :checkhealth (health.lua).

local clients = require('seedling.client')
local quiet = require('seedling.quiet')

local M = {}

---@class seedling.Status The parameters of the server's didChangeStatus.
---@field kind 'Normal'|'Warning'|'Error'|'Inactive'
---@field busy boolean
---@field message string
---@field reason? string The name of the reason why a document gets no ghost text.
---@field uri? string Of that document.
---@field nextEdit? boolean Whether next edits are on.

---@type seedling.Status?
local status

---@type integer? The buffer of ours that was entered last.
local last_buffer

---@param buffer integer
function M.entered(buffer)
  last_buffer = buffer
end

--- The file of ours that the user looked at last: a report about it is shown in another buffer.
---@return integer?
function M.last_buffer()
  return last_buffer
end

---@param new_status? seedling.Status
function M.set(new_status)
  status = new_status
  require('seedling.next_edit').set(new_status)
  vim.api.nvim_exec_autocmds('User', { pattern = 'SeedlingStatus', data = new_status, modeline = false })
end

---@return boolean
local function is_on()
  return require('seedling.suggest').is_on()
end

---@return string
local function message()
  if not status then
    return 'running'
  end
  local words = { Normal = 'ready', Inactive = 'inactive', Warning = 'warning', Error = 'error' }
  local said = status.message ~= '' and status.message or words[status.kind] or 'running'
  return status.busy and said .. ' …' or said
end

--- One line for people: what the server is doing, and why there is no ghost text.
---@param buffer? integer Default: the current one.
---@return string
function M.line(buffer)
  buffer = buffer or vim.api.nvim_get_current_buf()
  if #clients.all() == 0 then
    return 'Seedling: not running (:checkhealth seedling may tell why)'
  end
  local own = quiet.reason(buffer)
  if own then
    return 'Seedling: ' .. own
  end
  if #clients.all(buffer) == 0 then
    local kind = vim.bo[buffer].filetype
    return ('Seedling: not used for %s files'):format(kind ~= '' and kind or 'these')
  end
  return 'Seedling: ' .. message() .. (is_on() and '' or ' (ghost text off)')
end

--- A few characters for a statusline, '' in buffers that Seedling does not serve. Every % is escaped.
---@return string
function M.statusline()
  if #clients.all(vim.api.nvim_get_current_buf()) == 0 then
    return ''
  end
  local mark = ''
  if not is_on() then
    mark = ' off'
  elseif status and status.busy then
    mark = ' ' .. status.message
  elseif status and status.kind ~= 'Normal' then
    mark = status.kind == 'Error' and ' error' or ' quiet'
  end
  return (('Seedling' .. mark):gsub('%%', '%%%%'))
end

--- Says why nothing came when the user asked by hand.
---@param buffer integer
function M.explain(buffer)
  local client = clients.of(buffer)
  if not client or quiet.reason(buffer) then
    vim.notify(M.line(buffer), vim.log.levels.WARN)
    return
  end
  clients.execute(client, 'seedling.status', { vim.uri_from_bufnr(buffer) }, function(told)
    local why = type(told) == 'table' and (told.last or told.document) or nil
    local sentence = why and why.sentence or ''
    vim.notify('Seedling: ' .. (sentence ~= '' and sentence or 'nothing to suggest here'))
  end)
end

return M
