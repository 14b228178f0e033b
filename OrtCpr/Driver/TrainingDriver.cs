using Microsoft.ML.OnnxRuntime;
using OrtCpr.Buffers;
using OrtCpr.Collectives;
using OrtCpr.Devices;
using OrtCpr.Graph;
using OrtCpr.Graph.Optimizers;
using OrtCpr.Graph.Passes;
using OrtCpr.Schedules;
using OrtCpr.Sessions;

namespace OrtCpr;

/// <summary>The verbs of training, as ONNX Runtime's training session has them: TrainStep, EvalStep, OptimizerStep,
/// LazyResetGrad.</summary>
/// <remarks>Owns the sessions, the parameters and all state. Gradients add up over TrainSteps until <see cref="LazyResetGrad"/> is called.
/// Batch and sequence sizes may change from step to step. Not thread-safe: one call at a time; several drivers share nothing.</remarks>
public sealed partial class TrainingDriver : IDisposable
{
    private readonly TrainingSessions _training;
    private BatchSessions? _evaluation;
    private BatchSessions? _prediction;
    private readonly string _loss = "";
    private readonly string? _weight, _weigh;
    private readonly OrtValue? _figures;
    private OrtIoBinding? _last;
    private readonly BatchMemory? _batch;
    private Dictionary<string, string>? _evaluated;
    private bool _resetPending = true;
    private bool _disposed;

    /// <summary>Creates the sessions and puts parameters and state in place.</summary>
    /// <param name="plan">What <see cref="TrainingGraphBuilder"/> made.</param>
    /// <param name="options">Threads, kernels, device.</param>
    /// <exception cref="OrtCprException">An option is out of range or the device does not accept a graph.</exception>
    public TrainingDriver(TrainingPlan plan, DriverOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(plan);
        Plan = plan;
        RefusePrecision(plan.Precision, options?.Device);
        Optimizer = new OptimizerDriver(plan, plan.InitialParameters, options);
        try
        {
            RefuseSumsOverRanks();
            RankAgreement.Check(Optimizer.Ranks, plan);
            foreach ((string name, TensorData value) in plan.InitialStatistics)
            {
                Optimizer.Store.Write(name, value);
                if (plan.Find(TensorRole.PendingStatistic, name) is TensorSlot pending) Optimizer.Store.Write(pending.Key, value);
            }
            RankAgreement.Begin(Optimizer.Ranks, Optimizer.Store, plan);
            _loss = plan.Find(TensorRole.Loss)!.Key;
            if (plan.LossFigures is not null) _figures = Device.AllocateOnHost(plan.Type, [2 * plan.LossTerms.Count]);
            if (Optimizer.Device.RunsInOrder) _batch = new BatchMemory(Optimizer.Device);
            _weight = plan.Find(TensorRole.LossWeight)?.Key;
            _weigh = plan.Find(TensorRole.WeighBatches)?.Key;
            _training = new TrainingSessions(plan, (graph, name, kind) => NewSessions(graph, name, kind, trains: true));
        }
        catch
        {
            Dispose();
            throw;
        }
    }

    /// <summary>Builds the graphs of a model file and a driver for them.</summary>
    /// <param name="modelPath">An ONNX file, with its external data beside it.</param>
    /// <param name="training">Loss, optimizer, parameters; null for cross-entropy from the only output and AdamCPR.</param>
    /// <param name="options">Threads, kernels, device; null for the defaults, the CPU.</param>
    /// <exception cref="OrtCprException">The file, the model or an option is at fault.</exception>
    public static TrainingDriver Create(string modelPath, TrainingOptions? training = null, DriverOptions? options = null) =>
        new(TrainingGraphBuilder.Build(modelPath, training), options);

    /// <summary>The job: its graphs and tensors.</summary>
    public TrainingPlan Plan { get; }

    /// <summary>Parameters, state, learning rates and schedules.</summary>
    public OptimizerDriver Optimizer { get; }

    /// <summary>How operators of ours run in each graph that has a session so far: those of training and of the
    /// optimizer always, the others once they have been used.</summary>
    internal IReadOnlyList<KernelReport> KernelReport =>
        [
            .. _training.All.Concat(new[] { _evaluation, _prediction }.OfType<BatchSessions>()).SelectMany(s => s.ReportKernels()),
            .. Optimizer.KernelReport,
        ];

    /// <summary>What the user should know of the job on this device.</summary>
    internal IEnumerable<string> DeviceWarnings => new[] { Optimizer.Device.WarningOf(Plan.Precision) }.OfType<string>();

    /// <summary>TrainSteps whose gradients are in the buffers.</summary>
    public int AccumulatedSteps { get; private set; }

    /// <summary>One whole step on one batch: <see cref="LazyResetGrad"/>, <see cref="TrainStep"/> and <see
    /// cref="OptimizerStep"/>. Several batches a step are spelled out by those.</summary>
    /// <param name="batch">The model's inputs and the labels.</param>
    /// <returns>The loss of the batch before the step. Where a gradient was not finite the step is skipped and counted in
    /// <see cref="OptimizerDriver.SkippedSteps"/>.</returns>
    /// <exception cref="DriverException">The batch does not fit; nothing has changed.</exception>
    public double Step(Batch batch)
    {
        LazyResetGrad();
        TrainStep(batch, readLoss: false);
        OptimizerStep();
        // Read last: on a device that runs in order the whole step is then under way before anything waits.
        return Loss;
    }

    /// <summary>Forward and backward over one batch. The gradients overwrite the buffers after <see
    /// cref="LazyResetGrad"/> (and the first time), else add to them; how is said by <see cref="WeighBatches"/>.</summary>
    /// <param name="batch">The model's inputs and the labels.</param>
    /// <param name="readLoss">Whether to read the loss and return it. On a GPU it saves waiting for the step not to:
    /// <see cref="Loss"/> has it later. Default on.</param>
    /// <returns>The loss of the batch; NaN when it is not read.</returns>
    /// <exception cref="DriverException">The batch does not fit, and nothing has changed; or ONNX Runtime stopped
    /// within the step, and the gradients so far are given up: the next TrainStep overwrites them, and OptimizerStep
    /// waits for it.</exception>
    public double TrainStep(Batch batch, bool readLoss = true)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (batch.IsPadding) return PassOver();
        batch.Check(Plan.BatchInputs, why: Plan.FixedBatch);
        RefuseLabels(batch);
        // Within a step the same parameters have gradients.
        if (_resetPending && Optimizer.HoldFrozen()) LeaveOutFrozen();
        BatchSessions.Entry entry = _training.Next(accumulates: !_resetPending).For(batch);
        _last = entry.Binding!;
        foreach ((string name, OrtValue value) in batch.Tensors)
        {
            if (!entry.Session.Inputs.Contains(name)) continue;
            _last.BindInput(name, _batch is null || entry.Session.ReadsOnHost(name) ? value : _batch.Place(name, value));
        }
        SetDropoutKey();
        if (_weigh is not null) Optimizer.Store.SetInput(_weigh, 0, WeighBatches);
        Optimizer.Store.Flush();
        RunTraining(entry.Session, _last, batch);
        Count(batch.Rows);
        return readLoss ? Loss : double.NaN;
    }

    /// <summary>Loss of the last TrainStep; NaN before the first. Reading it waits for the device.</summary>
    public double Loss => AccumulatedSteps == 0 ? double.NaN : Optimizer.Store.Number(_loss);

    /// <summary>A copy of a model output in the last TrainStep; it must be one of <see cref="TrainingOptions.TrainingOutputs"/>.</summary>
    /// <param name="name">An output of the model.</param>
    /// <exception cref="DriverException">It is not, or no TrainStep has run.</exception>
    public TensorData GetOutput(string name)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        int index = AccumulatedSteps == 0 ? -1 : Array.IndexOf(_last!.GetOutputNames(), name);
        if (index < 0)
        {
            throw new DriverException(
                $"Output '{name}' was not computed by a TrainStep; name it in "
                + $"{nameof(TrainingOptions)}.{nameof(TrainingOptions.TrainingOutputs)} and run a step first.");
        }
        // The loss may be an output of the model, and is then on the device.
        if (name == Plan.LossOutput) return Optimizer.Store.Read(_loss);
        Optimizer.Device.Wait();
        using IDisposableReadOnlyCollection<OrtValue> values = _last!.GetOutputValues();
        return Device.ReadOnHost(values[index]);
    }

    /// <summary>Loss and model outputs of one batch in evaluation form. Nothing changes.</summary>
    /// <param name="batch">The model's inputs and the labels.</param>
    /// <param name="outputs">Names of model outputs, and of tensors that the loss takes, to compute beside the loss; none by
    /// default.</param>
    /// <exception cref="DriverException">The batch does not fit, or an output does not exist.</exception>
    public Evaluation EvalStep(Batch batch, params IReadOnlyList<string> outputs)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(outputs);
        ObjectDisposedException.ThrowIf(_disposed, this);
        batch.Check(Plan.BatchInputs, why: Plan.FixedBatch);
        RefuseLabels(batch);
        RefuseUnknownOutputs(outputs, [.. Plan.ModelOutputs, .. Plan.LossTerms.Select(t => t.Output).OfType<string>()]);
        _evaluation ??= NewSessions(Plan.Evaluation, "evaluation", null, trains: false);
        string? figures = Plan.LossFigures;
        string[] first = figures is null ? [Plan.LossOutput] : [Plan.LossOutput, figures];
        string[] names = [.. first, .. outputs.Where(o => o != Plan.LossOutput).Distinct()];
        IDisposableReadOnlyCollection<OrtValue> results = RunFree(_evaluation, batch, names, "evaluation");
        return new Evaluation(names, results, Device.ReadOnHost(results[0]).ToDoubles()[0],
            figures is null ? [] : Device.ReadOnHost(results[1]).ToDoubles());
    }

    /// <summary>Model outputs of one batch in evaluation form, without labels. Nothing changes.</summary>
    /// <param name="batch">The model's inputs; labels may be there and are not looked at.</param>
    /// <param name="outputs">Names of model outputs; all when none is given.</param>
    /// <exception cref="DriverException">The batch does not fit, or an output does not exist.</exception>
    public Prediction Predict(Batch batch, params IReadOnlyList<string> outputs)
    {
        ArgumentNullException.ThrowIfNull(batch);
        ArgumentNullException.ThrowIfNull(outputs);
        ObjectDisposedException.ThrowIf(_disposed, this);
        batch.Check(Plan.BatchInputs, withLabels: false, Plan.FixedBatch);
        RefuseUnknownOutputs(outputs, Plan.ModelOutputs);
        _prediction ??= NewSessions(PredictionGraph.Of(Plan), "prediction", null, trains: false);
        string[] names = outputs.Count == 0 ? [.. Plan.ModelOutputs] : [.. outputs.Distinct()];
        return new Prediction(names, RunFree(_prediction, batch, names, "prediction"));
    }

    /// <summary>One optimizer step from the gradients in the buffers; commits running statistics with it.</summary>
    /// <param name="gradientScale">Multiplies the gradients: 1/A for the mean of A accumulated batches (of one batch of them all with
    /// <see cref="WeighBatches"/>). Default 1: their sum.</param>
    /// <returns>False when a gradient was not finite and the step was skipped; nothing has changed then.</returns>
    /// <exception cref="DriverException">No TrainStep has run yet.</exception>
    public bool OptimizerStep(double gradientScale = 1)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (AccumulatedSteps == 0) throw new DriverException("There are no gradients yet. Call TrainStep before OptimizerStep.");
        return Optimizer.Ranks.AreMany ? StepAsRank(gradientScale) : Optimizer.Step(gradientScale * AccumulationFactor);
    }

    /// <summary>Makes the next TrainStep overwrite the gradients instead of adding to them.</summary>
    public void LazyResetGrad()
    {
        _resetPending = true;
        (_turns, _batches, _rows) = (0, 0, 0);
    }

    /// <summary>A copy of a parameter or running statistic.</summary>
    /// <param name="name">Of a parameter that is trained or not, or of a running mean or variance.</param>
    /// <returns>The value of now, in the type that training works in; of what is not trained that of the file.</returns>
    /// <exception cref="DriverException">There is no such tensor.</exception>
    public TensorData GetParameter(string name) => Optimizer.Get(name);

    /// <summary>Overwrites a parameter; its moments, step count, λ and κ stay as they are.</summary>
    /// <param name="name">Of a trained parameter.</param>
    /// <param name="value">Type and shape of the parameter; copied.</param>
    /// <exception cref="DriverException">There is no such parameter, or type or shape differ.</exception>
    public void UpdateParameter(string name, TensorData value) => Optimizer.Set(name, value);

    /// <summary>Sets the learning-rate schedule of one group, or of all; more in <see cref="OptimizerDriver.SetSchedule"/>.</summary>
    /// <param name="schedule">Factor on the base rate at each step; null for a constant rate.</param>
    /// <param name="group">Group index; null for all groups. Default null.</param>
    /// <exception cref="OrtCprException">The schedule has options out of range, or there is no such group.</exception>
    public void SetSchedule(Schedule? schedule, int? group = null) => Optimizer.SetSchedule(schedule, group);

    /// <summary>All parameters one after the other in one buffer, in the order of the model's parameter table.</summary>
    /// <param name="onlyTrainable">Only those that are trained and not frozen; else also running statistics. Default all.</param>
    /// <returns>A vector of the parameters' element type.</returns>
    public TensorData ToBuffer(bool onlyTrainable = false)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        (string Name, int Bytes)[] parts = [.. BufferParts(onlyTrainable)];
        byte[] all = new byte[parts.Sum(p => (long)p.Bytes)];
        int at = 0;
        foreach ((string name, int bytes) in parts)
        {
            Optimizer.Store.Read(name).Bytes.Span.CopyTo(all.AsSpan(at));
            at += bytes;
        }
        ElementType type = Plan.Type;
        return TensorData.Create(type, [all.Length * 8L / type.BitsPerElement()], all);
    }

    /// <summary>Overwrites all parameters from a buffer that <see cref="ToBuffer"/> of the same model made.</summary>
    /// <param name="buffer">A vector of the parameters' element type.</param>
    /// <param name="onlyTrainable">As it was made.</param>
    /// <exception cref="DriverException">Type or length differ; nothing has changed.</exception>
    public void FromBuffer(TensorData buffer, bool onlyTrainable = false)
    {
        ArgumentNullException.ThrowIfNull(buffer);
        ObjectDisposedException.ThrowIf(_disposed, this);
        (string Name, int Bytes)[] parts = [.. BufferParts(onlyTrainable)];
        long expected = parts.Sum(p => (long)p.Bytes);
        if (buffer.Type != Plan.Type || buffer.Bytes.Length != expected)
        {
            throw new DriverException(
                $"The buffer is {buffer}; expected {Plan.Type}[{expected * 8 / Plan.Type.BitsPerElement()}], "
                + $"{(onlyTrainable ? "the parameters that are trained" : "all parameters and running statistics")} of this model.");
        }
        int at = 0;
        foreach ((string name, int bytes) in parts)
        {
            Optimizer.Store.WriteBytes(name, buffer.Bytes.Span.Slice(at, bytes));
            at += bytes;
        }
    }

    private IEnumerable<(string Name, int Bytes)> BufferParts(bool onlyTrainable)
    {
        int size = Plan.Type.BitsPerElement() / 8;
        foreach (ParameterSpec p in Plan.Trained)
        {
            if (!onlyTrainable || !Optimizer.Frozen.Contains(p.Name)) yield return (p.Name, checked((int)(p.ElementCount * size)));
        }
        if (onlyTrainable) yield break;
        foreach (TensorSlot s in Plan.Slots.Where(s => s.Role == TensorRole.Statistic))
            yield return (s.Key, checked((int)(s.ElementCount * size)));
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_disposed) return;
        _disposed = true;
        _training?.Dispose();
        _evaluation?.Dispose();
        _prediction?.Dispose();
        _figures?.Dispose();
        _batch?.Dispose();
        _exchange?.Dispose();
        _outer?.Dispose();
        _statistics?.Dispose();
        Optimizer?.Dispose();
    }

    internal void ForgetGradients()
    {
        AccumulatedSteps = 0;
        _resetPending = true;
        (_turns, _batches, _rows) = (0, 0, 0);
    }

    /// <summary>New masks for each micro-batch, the same ones after a resumption.</summary>
    private void SetDropoutKey()
    {
        if (Plan.DropoutSeed is not long seed) return;
        (int first, int second) = DropoutMasks.KeyOf(seed, Optimizer.Steps,
            (_resetPending ? 0 : AccumulatedSteps) + ((long)Optimizer.Ranks.Rank << 32));
        string key = Plan.Find(TensorRole.DropoutKey)!.Key;
        Optimizer.Store.SetInput(key, 0, first);
        Optimizer.Store.SetInput(key, 1, second);
    }
}
