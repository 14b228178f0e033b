using Microsoft.ML.OnnxRuntime;
using OrtCpr.Checkpoints;
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
    public void Exchange(OptimizerDriver optimizer)
    {
        foreach (ParameterSpec p in _whole.Trained)
            _ranks.Broadcast(optimizer.Store[_whole.Find(TensorRole.Parameter, p.Name)!.Key], _owners[p.Name]);
        foreach (TensorSlot slot in _whole.Slots.Where(s => s.Role == TensorRole.Rows)) ExchangeRows(optimizer, slot);
    }

    /// <summary>The bytes of a tensor of a checkpoint, on all ranks, wherever it is kept. All ranks ask for the same ones in the same
    /// order.</summary>
    public byte[] Bytes(OptimizerDriver optimizer, CheckpointTensor tensor)
    {
        bool isKeptOnce = tensor.Slot.Role == TensorRole.State;
        if (!isKeptOnce) return tensor.Bytes(optimizer.Store).ToArray();
        int owner = _owners[tensor.Owner!];
        byte[] bytes = owner == _ranks.Rank ? tensor.Bytes(optimizer.Store).ToArray()
            : new byte[tensor.Dimensions.Aggregate(1L, (n, d) => n * d) * tensor.Type.BitsPerElement() / 8];
        _ranks.Broadcast(bytes, owner);
        return bytes;
    }

    private void ExchangeRows(OptimizerDriver optimizer, TensorSlot slot)
    {
        OrtValue value = optimizer.Store[slot.Key];
        byte[] own = optimizer.Device.IsHost ? value.GetTensorMutableRawData().ToArray() : optimizer.Store.Read(slot.Key).Bytes.ToArray();
        byte[] all = _ranks.Gather(own);
        int row = own.Length / slot.Rows.Count;
        for (int i = 0; i < slot.Rows.Count; i++)
            all.AsSpan((_owners[slot.Rows[i]] * own.Length) + (i * row), row).CopyTo(own.AsSpan(i * row));
        optimizer.Store.WriteBytes(slot.Key, own);
    }
}
