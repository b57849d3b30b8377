/* The order in which a batch's rows are locked.  See batch.hpp. */
#include "pg.hpp"

#include "batch.hpp"

namespace occ {

namespace {

/* How the keys of two rows compare. */
int
compare_keys(const BatchRow &a, const BatchRow &b, const SortSupportData *supports, int count)
{
    int result = 0;

    for (int i = 0; result == 0 && i < count; i++) {
        auto *support = const_cast<SortSupport>(&supports[i]);
        result = support->comparator(a.key[i].datum, b.key[i].datum, support);
    }
    return result;
}

struct KeyOrder {
    const SortSupportData *supports;
    int count;
};

extern "C" int
occ_compare_rows(const void *a, const void *b, void *argument)
{
    const auto *order = static_cast<KeyOrder *>(argument);

    return compare_keys(**static_cast<BatchRow *const *>(a), **static_cast<BatchRow *const *>(b),
                        order->supports, order->count);
}

/* The same for keys of one column, which most are. */
extern "C" int
occ_compare_single_keys(const void *a, const void *b, void *argument)
{
    auto *support = const_cast<SortSupport>(static_cast<KeyOrder *>(argument)->supports);

    return support->comparator((*static_cast<BatchRow *const *>(a))->key->datum,
                               (*static_cast<BatchRow *const *>(b))->key->datum, support);
}

}  // namespace

void
sort_rows(Batch *batch)
{
    const Target &target = batch->target;
    auto *supports = static_cast<SortSupport>(palloc0(sizeof(SortSupportData) * target.key_count));
    const KeyOrder order = {supports, target.key_count};
    bool sorted = true;

    for (int i = 0; i < target.key_count; i++) {
        supports[i].ssup_cxt = CurrentMemoryContext;
        supports[i].ssup_collation = target.key[i].collation;
        PrepareSortSupportFromOrderingOp(target.key[i].less, &supports[i]);
    }
    for (std::uint64_t i = 0; i < batch->count; i++) {
        batch->order[i] = &batch->rows[i];
        sorted = sorted && (i == 0 || occ_compare_rows(&batch->order[i - 1], &batch->order[i],
                                                       const_cast<KeyOrder *>(&order)) < 0);
    }
    if (!sorted)
        qsort_arg(batch->order, batch->count, sizeof(BatchRow *),
                  target.key_count == 1 ? occ_compare_single_keys : occ_compare_rows,
                  const_cast<KeyOrder *>(&order));
    for (std::uint64_t i = 1; !sorted && i < batch->count; i++) {
        BatchRow *const *pair = &batch->order[i - 1];
        if (occ_compare_rows(&pair[0], &pair[1], const_cast<KeyOrder *>(&order)) != 0)
            continue;
        const auto first = static_cast<std::uint64_t>(std::min(pair[0], pair[1]) - batch->rows);
        const auto second = static_cast<std::uint64_t>(std::max(pair[0], pair[1]) - batch->rows);
        ereport(ERROR, errcode(ERRCODE_CARDINALITY_VIOLATION),
                errmsg("elements " UINT64_FORMAT " and " UINT64_FORMAT " of \"%s\" have the same "
                       "key",
                       first + 1, second + 1, batch->argument),
                errhint("Name each row once."), errtable(target.relation));
    }
}

}  // namespace occ
