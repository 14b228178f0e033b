using OrtCpr.Buffers;
using OrtCpr.Graph;

namespace OrtCpr.Checkpoints;

/// <summary>One tensor of a checkpoint: a whole tensor of the plan, or a row of one that holds a row a parameter.</summary>
/// <param name="Name">Its name in the file, which depends on the names of parameters and not on their order.</param>
/// <param name="Slot">The tensor of the plan.</param>
/// <param name="Owner">The parameter that it belongs to; null when it belongs to none.</param>
/// <param name="Row">The row; -1 for the whole tensor.</param>
internal sealed record CheckpointTensor(string Name, TensorSlot Slot, string? Owner, int Row)
{
    /// <summary>Element type.</summary>
    public ElementType Type => Slot.Type;

    /// <summary>Shape; that of a row is [1] or [columns].</summary>
    public IReadOnlyList<long> Dimensions => Row < 0 ? Slot.Dimensions : [.. Slot.Dimensions.Skip(1).DefaultIfEmpty(1)];

    /// <summary>Everything that a checkpoint of the driver holds.</summary>
    public static IEnumerable<CheckpointTensor> All(OptimizerDriver optimizer)
    {
        var keys = optimizer.Plan.Slots.Where(s => s.IsSaved && s.Rows.Count == 0).Select(s => s.Key).ToHashSet(StringComparer.Ordinal);
        foreach (TensorSlot slot in optimizer.Plan.Slots.Where(s => s.IsSaved))
        {
            if (slot.Rows.Count == 0) yield return new(slot.Key, slot, slot.Owner, -1);
            for (int i = 0; i < slot.Rows.Count; i++)
                yield return new(PlanSlots.FreeKey($"{slot.Rows[i]}.{slot.Kind}", keys), slot, slot.Rows[i], i);
        }
    }

    /// <summary>Writes tensors of a file into the driver, those that it has: rows of one tensor together, so that a
    /// device copies each once.</summary>
    public static void Restore(OptimizerDriver optimizer, IReadOnlyDictionary<string, TensorData> tensors)
    {
        foreach (IGrouping<TensorSlot, CheckpointTensor> slot in All(optimizer).GroupBy(t => t.Slot))
        {
            CheckpointTensor[] parts = [.. slot.Where(t => tensors.ContainsKey(t.Name))];
            // The state of some parameters is kept by other ranks.
            if (parts.Length == 0 || !optimizer.Store.Contains(slot.Key.Key)) continue;
            if (parts[0].Row < 0) optimizer.Store.WriteBytes(slot.Key.Key, tensors[parts[0].Name].Bytes.Span);
            else Restore(optimizer.Store, parts, tensors);
        }
    }

    /// <summary>Its bytes as they are now.</summary>
    public ReadOnlySpan<byte> Bytes(TensorStore store)
    {
        ReadOnlySpan<byte> all = store.Device.IsHost ? store[Slot.Key].GetTensorMutableRawData() : store.Read(Slot.Key).Bytes.Span;
        return Row < 0 ? all : all.Slice(Row * RowBytes, RowBytes);
    }

    private int RowBytes => (int)Dimensions.Aggregate(1L, (n, d) => n * d) * Type.BitsPerElement() / 8;

    private static void Restore(TensorStore store, CheckpointTensor[] rows, IReadOnlyDictionary<string, TensorData> tensors)
    {
        byte[] all = store.Read(rows[0].Slot.Key).Bytes.ToArray();
        foreach (CheckpointTensor row in rows) tensors[row.Name].Bytes.Span.CopyTo(all.AsSpan(row.Row * row.RowBytes));
        store.WriteBytes(rows[0].Slot.Key, all);
    }
}
