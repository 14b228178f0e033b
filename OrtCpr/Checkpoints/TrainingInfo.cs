using OrtCpr.Checkpoints;
using OrtCpr.Graph;
using OrtCpr.Graph.Onnx;
using OrtCpr.Graph.OnnxTraining;
using OrtCpr.Graph.Passes;

namespace OrtCpr;

/// <summary>A training job as one ONNX model with the standard's <c>training_info</c>: the inference graph with its weights, and an
/// algorithm graph that is one iteration of training, with loss, gradients and optimizer step.</summary>
/// <remarks>What is written where, and which programs read it, is in docs/training-info.md. Thread-safe.</remarks>
public static class TrainingInfo
{
    /// <summary>Writes a job that has not begun.</summary>
    /// <param name="plan">A whole plan in float32.</param>
    /// <param name="path">The model file; replaced as a whole. Tensors go to <c>path.data</c> beside it when it is larger than
    /// 1.5 GB.</param>
    /// <exception cref="OptionException">The plan has what the format has no place for: mixed precision; no training or evaluation
    /// graph.</exception>
    /// <exception cref="FileAccessException">The file can't be written.</exception>
    public static void Write(TrainingPlan plan, string path)
    {
        ArgumentNullException.ThrowIfNull(plan);
        ArgumentNullException.ThrowIfNull(path);
        // First values that the optimizer computes are there when a driver has begun.
        using var driver = new TrainingDriver(plan);
        Write(driver, path);
    }

    /// <summary>Writes a job as it is now: parameters, moments, λ, κ, detectors, step counts, running statistics, rates, schedules,
    /// frozen parameters. Gradients that are added up for the next step are not written. Of several ranks the first writes.</summary>
    /// <param name="driver">The job; between two steps.</param>
    /// <param name="path">The model file; replaced as a whole. Tensors go to <c>path.data</c> beside it when it is larger than
    /// 1.5 GB.</param>
    /// <exception cref="OptionException">The job has what the format has no place for: mixed precision; no evaluation graph.</exception>
    /// <exception cref="FileAccessException">The file can't be written.</exception>
    public static void Write(TrainingDriver driver, string path)
    {
        ArgumentNullException.ThrowIfNull(driver);
        ArgumentNullException.ThrowIfNull(path);
        if (!driver.Optimizer.Ranks.IsFirst) return;
        OptimizerDriver optimizer = driver.Optimizer;
        ModelFile.Save(TrainingInfoWriter.Write(driver.Plan, slot => ValueOf(optimizer, slot), optimizer.Steps,
            TrainingCheckpoint.HeaderText(optimizer, null)), path, source: driver.Plan.Source.Folder);
    }

    /// <summary>The job of a file as a plan: its tensors start at the values of the file, its schedules and rates as the plan that was
    /// written had them.</summary>
    /// <param name="path">A model that <see cref="Write(TrainingDriver, string)"/> wrote.</param>
    /// <exception cref="FileAccessException">The file is missing or can't be read.</exception>
    /// <exception cref="ModelFormatException">It is no model, or its training_info is not one that OrtCpr wrote, or was changed
    /// since.</exception>
    public static TrainingPlan Read(string path)
    {
        ArgumentNullException.ThrowIfNull(path);
        return TrainingInfoReader.Read(path, out _);
    }

    /// <summary>The job of a file, to go on with: as <see cref="Read"/>, and with the rates, schedules and frozen parameters of the
    /// driver that was written.</summary>
    /// <param name="path">A model that <see cref="Write(TrainingDriver, string)"/> wrote.</param>
    /// <param name="options">Threads, kernels, device; null for the defaults, the CPU.</param>
    /// <exception cref="OrtCprException">The file is missing, is no such model, or the device does not accept a graph.</exception>
    public static TrainingDriver Open(string path, DriverOptions? options = null)
    {
        ArgumentNullException.ThrowIfNull(path);
        TrainingPlan plan = TrainingInfoReader.Read(path, out string? job);
        var driver = new TrainingDriver(plan, options);
        try
        {
            if (job is not null) TrainingCheckpoint.ApplyHeader(driver.Optimizer, job, path);
            return driver;
        }
        catch
        {
            driver.Dispose();
            throw;
        }
    }

    /// <summary>A tensor as it is now; of what the host writes before a step, what it would write next.</summary>
    private static TensorData ValueOf(OptimizerDriver optimizer, TensorSlot slot)
    {
        switch (slot.Role)
        {
            case TensorRole.GroupScalar:
                double[] rates = [.. Enumerable.Range(0, optimizer.Scalars.GroupCount)
                    .Select(g => optimizer.Scalars.At(slot.Kind, g, optimizer.Steps))];
                return TensorData.From<double>(rates, rates.Length).ConvertTo(slot.Type);
            case TensorRole.GradientScale:
                return TensorData.From<double>([1], [.. slot.Dimensions]).ConvertTo(slot.Type);
            case TensorRole.GradientPresent:
                return TensorData.From<bool>(optimizer.Store.Input<bool>(slot.Key), [.. slot.Dimensions]);
            case TensorRole.DropoutKey:
                (int first, int second) = DropoutMasks.KeyOf(optimizer.Plan.DropoutSeed ?? 0, optimizer.Steps, 0);
                return TensorData.From<int>([first, second], [.. slot.Dimensions]);
            default:
                return optimizer.Store.Read(slot.Key);
        }
    }
}
