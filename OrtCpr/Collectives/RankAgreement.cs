using System.Security.Cryptography;
using System.Text;
using OrtCpr.Buffers;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;

namespace OrtCpr.Collectives;

/// <summary>What must be the same on all ranks: what they train, where they start, and what they keep.</summary>
internal static class RankAgreement
{
    /// <summary>Refuses ranks that train something else than the first one.</summary>
    /// <exception cref="CollectiveException">On every rank: names what differs where.</exception>
    public static void Check(Ranks ranks, TrainingPlan plan)
    {
        if (!ranks.AreMany) return;
        Check(ranks, "They must train one model in one way.",
            ("model", Hash(GraphWriter.ToBytes(plan.Evaluation))),
            ("loss or training options", Hash(GraphWriter.ToBytes(plan.Training))),
            ("optimizer", Hash([.. GraphWriter.ToBytes(plan.OptimizerModel),
                .. plan.Optimizer.Groups.SelectMany(g => BitConverter.GetBytes(g.LearningRate))])),
            ("trained parameters", Hash(Encoding.UTF8.GetBytes(string.Join(';', plan.Trained)))),
            ("precision", plan.Precision.ToString()));
    }

    /// <summary>Refuses ranks for which something named differs from the first one's.</summary>
    /// <param name="ranks">All ranks call it with the same names.</param>
    /// <param name="advice">What to do, a sentence.</param>
    /// <param name="items">Names and values; long values as hashes.</param>
    /// <exception cref="CollectiveException">On every rank: names what differs where.</exception>
    public static void Check(Ranks ranks, string advice, params (string Name, string Value)[] items)
    {
        if (!ranks.AreMany) return;
        string[] texts = ranks.Gather(string.Join('\n', items.Select(i => i.Value)));
        string[][] all = [.. texts.Select(t => t.Split('\n'))];
        var problems = new List<string>();
        for (int i = 0; i < items.Length; i++)
        {
            int[] others = [.. Enumerable.Range(1, ranks.Size - 1)
                .Where(r => all[r].ElementAtOrDefault(i) != all[0].ElementAtOrDefault(i))];
            if (others.Length == 0) continue;
            string values = all[0][i].Length > MostShown ? "" : $" ({all[0][i]} on rank 0, {all[others[0]].ElementAtOrDefault(i)} there)";
            problems.Add($"{items[i].Name} of rank {string.Join(", ", others.Take(5))}"
                + $"{(others.Length > 5 ? $" and {others.Length - 5} more" : "")}{values}");
        }
        if (problems.Count > 0)
            throw new CollectiveException($"Ranks differ from rank 0: {string.Join("; ", problems)}. {advice}");
    }

    /// <summary>Parameters and running statistics of the first rank on all.</summary>
    public static void Begin(Ranks ranks, TensorStore store, TrainingPlan plan)
    {
        if (!ranks.AreMany) return;
        foreach (TensorSlot slot in plan.Slots.Where(s => s.Role is TensorRole.Parameter or TensorRole.Statistic
            or TensorRole.PendingStatistic))
        {
            ranks.Broadcast(store[slot.Key]);
        }
    }

    /// <summary>Refuses ranks that have drifted apart, which only an error of a library or of the machine can do.</summary>
    /// <exception cref="CollectiveException">On every rank: parameters, λ or κ differ in some bit.</exception>
    /// <param name="ranks">All of them call it.</param>
    /// <param name="store">Has the tensors.</param>
    /// <param name="plan">Its table.</param>
    /// <param name="isLocal">Whether λ and the rest of the state is each rank's own.</param>
    public static void CheckState(Ranks ranks, TensorStore store, TrainingPlan plan, bool isLocal)
    {
        if (!ranks.AreMany) return;
        string Of(Func<TensorSlot, bool> which)
        {
            using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
            foreach (TensorSlot slot in plan.Slots.Where(which))
            {
                hash.AppendData(store.Device.IsHost ? store[slot.Key].GetTensorMutableRawData() : store.Read(slot.Key).Bytes.Span);
            }
            return Convert.ToHexString(hash.GetHashAndReset());
        }

        Check(ranks, "They had the same before, and the same gradients since: a library or the machine has changed bits. Go on from the "
            + "last checkpoint.", ("parameters", Of(s => s.Role == TensorRole.Parameter)),
            ("λ, κ and what sets them", isLocal ? "" : Of(s => s.Role == TensorRole.Rows)));
    }

    /// <summary>Longer values are hashes, which tell a reader nothing.</summary>
    private const int MostShown = 40;

    private static string Hash(byte[] bytes) => Convert.ToHexString(SHA256.HashData(bytes));
}
