using Microsoft.ML.OnnxRuntime;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Building;
using OrtCpr.Sessions;

namespace OrtCpr;

public sealed partial class TrainingDriver
{
    /// <summary>Computes a batch once more with a look at every tensor, and tells where numbers that are not finite come
    /// from. Makes a session of its own: for a run that has failed, not for each step.</summary>
    internal FinitenessReport FindNotFinite(Batch batch)
    {
        var probe = FinitenessProbe.Of(Plan.Training, Plan.LossOutput);
        using BatchSessions sessions = NewSessions(probe.Model, "finiteness", null, trains: true);
        GraphSession session = sessions.For(batch).Session;
        var stored = Plan.Slots.SelectMany(s => s.Uses.Where(u => u.Graph == PlanGraph.Training && u.Input is not null)
            .Select(u => (u.Input, s.Key))).ToDictionary(u => u.Input!, u => u.Key, StringComparer.Ordinal);
        string[] inputs = [.. session.Session.InputNames];
        OrtValue[] values = [.. inputs.Select(i => batch.Tensors.TryGetValue(i, out OrtValue? v) ? v : Optimizer.Store[stored[i]])];
        using IDisposableReadOnlyCollection<OrtValue> results =
            session.Session.Run(session.RunOptions, inputs, values, [FinitenessProbe.NotNumbers, FinitenessProbe.Infinities]);
        return probe.Read(Device.ReadOnHost(results[0]).ToDoubles(), Device.ReadOnHost(results[1]).ToDoubles(),
            Plan.Slots.Where(s => s is { Role: TensorRole.Gradient, Owner: not null }).SelectMany(s => s.Uses
                .Where(u => u.Graph == PlanGraph.Training && u.Output is not null).Select(u => (s.Owner!, u.Output!))));
    }
}
