using Microsoft.ML.OnnxRuntime;
using OrtCpr.Buffers;
using OrtCpr.Checkpoints;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Sessions;

namespace OrtCpr;

/// <summary>The exponential mean of the trained weights over the steps of a fit, on the driver's device. Owns the means and the session
/// that updates them in place.</summary>
internal sealed class WeightAverage : IDisposable
{
    private const string Rate = "rate";

    private readonly OptimizerDriver _optimizer;
    private readonly double _decay;
    private readonly Dictionary<string, OrtValue> _means = new(StringComparer.Ordinal);
    private readonly GraphSession _session;
    private readonly OrtIoBinding _binding;
    private readonly BatchMemory? _rate;
    private bool _isSwapped;

    /// <param name="optimizer">Whose trained parameters are averaged; stays the caller's.</param>
    /// <param name="decay">Share of the mean that a step keeps, above 0 and below 1.</param>
    public WeightAverage(OptimizerDriver optimizer, double decay)
    {
        (_optimizer, _decay) = (optimizer, decay);
        try
        {
            foreach (ParameterSpec p in optimizer.Plan.Trained)
            {
                _means[p.Name] = optimizer.Device.Allocate(p.Type, p.Dimensions);
                optimizer.Device.Bring(optimizer.Store[p.Name], _means[p.Name]);
            }
            _session = new GraphSession(Graph(optimizer.Plan), "weight_average", optimizer.Options, optimizer.Device);
            _binding = _session.Session.CreateIoBinding();
            foreach ((int i, ParameterSpec p) in optimizer.Plan.Trained.Index())
            {
                _binding.BindInput($"weight{i}", optimizer.Store[p.Name]);
                _binding.BindInput($"mean{i}", _means[p.Name]);
                _binding.BindOutput($"new_mean{i}", _means[p.Name]);
            }
            if (optimizer.Device.RunsInOrder) _rate = new BatchMemory(optimizer.Device);
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>What a checkpoint keeps.</summary>
    public IEnumerable<SafetensorsEntry> Entries => _optimizer.Plan.Trained.Select(p =>
        new SafetensorsEntry(NameOf(p), p.Type, p.Dimensions, s => s.Write(_optimizer.Device.Read(_means[p.Name]).Bytes.Span)));

    /// <summary>Takes the means back from a checkpoint.</summary>
    /// <exception cref="CheckpointException">It has none, or not those of this model; nothing has changed.</exception>
    public void Restore(IReadOnlyDictionary<string, TensorData> tensors, string path)
    {
        string[] problems = [.. _optimizer.Plan.Trained.Where(p => !tensors.TryGetValue(NameOf(p), out TensorData? found)
            || found.Type != p.Type || !found.Dimensions.SequenceEqual(p.Dimensions)).Select(p => $"'{p.Name}'")];
        if (problems.Length > 0)
        {
            throw new CheckpointException(
                $"Checkpoint '{path}' has no mean of the weights for {string.Join(", ", problems.Take(5))}"
                + $"{(problems.Length > 5 ? $" and {problems.Length - 5} more" : "")}: it was saved by a run without "
                + $"{nameof(FitOptions)}.{nameof(FitOptions.WeightAverage)}. Go on without it, or begin anew.");
        }
        foreach (ParameterSpec p in _optimizer.Plan.Trained)
            _optimizer.Device.Write(_means[p.Name], tensors[NameOf(p)].Bytes.Span);
    }

    /// <summary>After a step that counted. The first means are of few steps, and follow the weights: a step t keeps at most
    /// (1 + t)/(10 + t).</summary>
    public void Update()
    {
        long t = _optimizer.Steps;
        double rate = 1 - Math.Min(_decay, (1.0 + t) / (10.0 + t));
        ElementType type = _optimizer.Plan.Type;
        OrtValue value = Device.AllocateOnHost(type, []);
        using (value)
        {
            TensorData.From<double>([rate]).ConvertTo(type).Bytes.Span.CopyTo(value.GetTensorMutableRawData());
            _binding.BindInput(Rate, _rate?.Place(Rate, value) ?? value);
            _session.Run(_binding);
        }
    }

    /// <summary>Lets weights and means change places until the result is disposed, so that what reads the driver sees the
    /// means.</summary>
    public IDisposable Shown()
    {
        Swap();
        return new Back(this);
    }

    /// <summary>Leaves the means in the driver as its weights.</summary>
    public void Keep()
    {
        foreach (ParameterSpec p in _optimizer.Plan.Trained) _optimizer.Device.Bring(_means[p.Name], _optimizer.Store[p.Name]);
    }

    public void Dispose()
    {
        _binding?.Dispose();
        _session?.Dispose();
        _rate?.Dispose();
        foreach (OrtValue mean in _means.Values) mean.Dispose();
        _means.Clear();
    }

    private static string NameOf(ParameterSpec parameter) => TrainingCheckpoint.AveragePrefix + parameter.Name;

    private void Swap()
    {
        Device device = _optimizer.Device;
        foreach (ParameterSpec p in _optimizer.Plan.Trained)
        {
            using OrtValue weight = device.Allocate(p.Type, p.Dimensions);
            device.Bring(_optimizer.Store[p.Name], weight);
            device.Bring(_means[p.Name], _optimizer.Store[p.Name]);
            device.Bring(weight, _means[p.Name]);
        }
        _isSwapped = !_isSwapped;
    }

    // mean + rate·(weight − mean): exact where both are equal.
    private static OnnxModel Graph(TrainingPlan plan)
    {
        OnnxModel model = OnnxModel.Create("weight_average", 18);
        var g = new GraphBuilder(model.Graph);
        Term rate = g.Term(model.Graph.AddInput(Rate, plan.Type, Shape.Of()));
        foreach ((int i, ParameterSpec p) in plan.Trained.Index())
        {
            Shape shape = Shape.Of([.. p.Dimensions]);
            Term weight = g.Term(model.Graph.AddInput($"weight{i}", p.Type, shape)),
                mean = g.Term(model.Graph.AddInput($"mean{i}", p.Type, shape));
            model.Graph.Outputs.Add(g.Named(GraphBuilder.Typed(mean + ((weight - mean) * rate), p.Type, shape), $"new_mean{i}"));
        }
        return model;
    }

    private sealed class Back(WeightAverage average) : IDisposable
    {
        public void Dispose()
        {
            if (average._isSwapped) average.Swap();
        }
    }
}
