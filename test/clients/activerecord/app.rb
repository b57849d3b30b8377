# frozen_string_literal: true

# What an application on ActiveRecord has: a migration, models, and what it does about conflicts.
require 'active_record'

class GuardProducts < ActiveRecord::Migration[6.1]
  def up
    add_column :products, :lock_version, :integer, default: 0, null: false
    execute "SELECT occ.enable('products', 'lock_version', ignore => '{views}')"
  end

  def down
    execute "SELECT occ.disable('products')"
    remove_column :products, :lock_version
  end
end

ActiveRecord::Schema.define do
  create_table(:products) do |t|
    t.string :name, default: 'mug'
    t.integer :stock, default: 10
    t.integer :views, default: 0
  end
  create_table(:orders) do |t|
    t.integer :revision             # null in old rows
    t.integer :lines_count, default: 0
    t.datetime :updated_at, precision: 6
  end
  create_table(:lines) do |t|
    t.references :order
    t.integer :amount
  end
end

class Product < ActiveRecord::Base; end

# A model of the same table that has its locking off.
class Import < ActiveRecord::Base
  self.table_name = 'products'
  self.lock_optimistically = false
end

class Order < ActiveRecord::Base
  self.locking_column = :revision
  has_many :lines
end

class Line < ActiveRecord::Base
  belongs_to :order, counter_cache: true, touch: true, optional: true
end

# What somebody else has changed since it was read: ids has the keys.
class Conflict < StandardError
  attr_reader :ids

  def initialize(ids)
    super("Somebody else has changed #{ids.join(', ')}. Please look at it again.")
    @ids = ids
  end

  # From ActiveRecord's stale object, or from what the guard has refused; nil from another error.
  def self.from(error)
    return new([error.record.id]) if error.is_a?(ActiveRecord::StaleObjectError)

    result = error.cause.result if error.cause.is_a?(PG::Error)
    return if result&.error_field(PG::PG_DIAG_SQLSTATE) != 'PT409'

    new(JSON.parse(result.error_field(PG::PG_DIAG_MESSAGE_DETAIL))['ids'])
  end

  # Raise it instead of the two.
  def self.raised
    yield
  rescue ActiveRecord::StaleObjectError, ActiveRecord::StatementInvalid => error
    raise from(error) || error
  end
end

module ShowsConflicts
  extend ActiveSupport::Concern

  included do
    rescue_from ActiveRecord::StaleObjectError, ActiveRecord::StatementInvalid do |error|
      conflict = Conflict.from(error) or raise error
      render json: { error: conflict.message, ids: conflict.ids }, status: :conflict
    end
  end
end

# What a controller has of this: where rescue_from comes from, and render.
class ProductsController
  include ActiveSupport::Rescuable
  include ShowsConflicts

  def render(**options)
    @rendered = options
  end

  def process
    yield
  rescue StandardError => e
    rescue_with_handler(e) or raise
    @rendered
  end
end
