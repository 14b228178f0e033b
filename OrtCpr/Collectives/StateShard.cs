using Microsoft.ML.OnnxRuntime;
using OrtCpr.Buffers;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;

namespace OrtCpr.Collectives;

/// <summary>Optimizer state that is spread over the ranks, as ZeRO's first stage has it: each keeps the moments of some parameters and
/// steps them, and sends the new values.</summary>
internal sealed class StateShard
{
    private readonly Ranks _ranks;
    private readonly TrainingPlan _whole;
    private readonly IReadOnlyDictionary<string, int> _owners;

    /// <param name="ranks">Stay the caller's.</param>
    /// <param name="whole">The job with the state of all parameters.</param>
    public StateShard(Ranks ranks, TrainingPlan whole)
    {
        _ranks = ranks;
        _whole = whole;
        _owners = OptimizerShard.Owners(whole, ranks.Size);
        Plan = OptimizerShard.Of(whole, whole.Trained.Select(p => p.Name).Where(n => _owners[n] == ranks.Rank)
            .ToHashSet(StringComparer.Ordinal));
    }

    /// <summary>The job with the state that this rank keeps.</summary>
    public TrainingPlan Plan { get; }

    /// <summary>The rank that keeps the state of a parameter.</summary>
    public int OwnerOf(string parameter) => _owners[parameter];

    /// <summary>After a step: new parameters and rows from those who have stepped them.</summary>
    public void Exchange(TensorStore store)
    {
        foreach (ParameterSpec p in _whole.Trained)
            _ranks.Broadcast(store[_whole.Find(TensorRole.Parameter, p.Name)!.Key], _owners[p.Name]);
        foreach (TensorSlot slot in _whole.Slots.Where(s => s.Role == TensorRole.Rows)) ExchangeRows(store, slot);
    }

    /// <summary>The bytes of a state tensor on all ranks, wherever it is kept. All ranks ask for the same ones in the same
    /// order.</summary>
    public byte[] Bytes(TensorStore store, TensorSlot slot)
    {
        int owner = _owners[slot.Owner!];
        byte[] bytes = owner == _ranks.Rank ? store.Read(slot.Key).Bytes.ToArray()
            : new byte[slot.ElementCount * slot.Type.BitsPerElement() / 8];
        _ranks.Broadcast(bytes, owner);
        return bytes;
    }

    private void ExchangeRows(TensorStore store, TensorSlot slot)
    {
        OrtValue value = store[slot.Key];
        byte[] own = store.Device.IsHost ? value.GetTensorMutableRawData().ToArray() : store.Read(slot.Key).Bytes.ToArray();
        byte[] all = _ranks.Gather(own);
        int row = own.Length / slot.Rows.Count;
        for (int i = 0; i < slot.Rows.Count; i++)
            all.AsSpan((_owners[slot.Rows[i]] * own.Length) + (i * row), row).CopyTo(own.AsSpan(i * row));
        store.WriteBytes(slot.Key, own);
    }
}
