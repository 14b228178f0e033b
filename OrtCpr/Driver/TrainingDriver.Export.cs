using Microsoft.ML.OnnxRuntime;
using OrtCpr.Export;
using OrtCpr.Graph;

namespace OrtCpr;

// The trained model: as a file, a stream, a session.
public sealed partial class TrainingDriver
{
    /// <summary>Writes the trained model: same inputs, outputs and names as the original, in inference form. Of several ranks the first
    /// writes.</summary>
    /// <param name="path">Model file; replaced atomically. Weights go to <c>path.data</c> beside it when the model is
    /// larger than 1.5 GB.</param>
    /// <exception cref="FileAccessException">The file can't be written.</exception>
    public void ExportModel(string path) => ExportModel(path, freeBatch: false);

    /// <summary>Writes the trained model to a stream, weights inline.</summary>
    /// <param name="stream">Left open.</param>
    /// <exception cref="ModelFormatException">The model is larger than 2 GiB: export it to a path.</exception>
    public void ExportModel(Stream stream) => ExportModel(stream, freeBatch: false);

    /// <summary>Writes the trained model, with the batch as it came or free.</summary>
    /// <param name="path">Model file; replaced atomically. Weights go to <c>path.data</c> beside it when the model is
    /// larger than 1.5 GB.</param>
    /// <param name="freeBatch">Whether a model with a fixed batch is written for batches of any size: its shapes have a
    /// symbol there, and where constants held the size the graph is written as it was trained, with opset 18 or later.</param>
    /// <exception cref="FileAccessException">The file can't be written.</exception>
    /// <exception cref="OptionException">The batch cannot be freed; the message names the node.</exception>
    public void ExportModel(string path, bool freeBatch)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        if (Optimizer.Ranks.IsFirst) InferenceModel.Save(Plan, Optimizer.Store, path, freeBatch);
    }

    /// <summary>Writes the trained model to a stream, weights inline.</summary>
    /// <param name="stream">Left open.</param>
    /// <param name="freeBatch">Whether a model with a fixed batch is written for batches of any size, as for a path.</param>
    /// <exception cref="ModelFormatException">The model is larger than 2 GiB: export it to a path.</exception>
    /// <exception cref="OptionException">The batch cannot be freed; the message names the node.</exception>
    public void ExportModel(Stream stream, bool freeBatch)
    {
        ArgumentNullException.ThrowIfNull(stream);
        ObjectDisposedException.ThrowIf(_disposed, this);
        InferenceModel.Save(Plan, Optimizer.Store, stream, freeBatch);
    }

    /// <summary>A session of the trained model as it is now, without a file: what <see cref="ExportModel(string)"/> would write. It has a
    /// copy of the weights and shares nothing with the driver, so that later steps do not change what it computes, and it may run on
    /// another thread while training goes on.</summary>
    /// <param name="options">Threads, providers; stays the caller's. Null for the CPU and the driver's number of threads.</param>
    /// <returns>The caller's to dispose of.</returns>
    /// <exception cref="ModelFormatException">The model is larger than 2 GiB, which no session takes from memory: export it to a path
    /// and open that.</exception>
    public InferenceSession CreateInferenceSession(SessionOptions? options = null)
    {
        ObjectDisposedException.ThrowIf(_disposed, this);
        byte[] model = InferenceModel.ToBytes(Plan, Optimizer.Store);
        if (options is not null) return new InferenceSession(model, options);
        using var own = new SessionOptions { IntraOpNumThreads = Optimizer.Options.Threads };
        return new InferenceSession(model, own);
    }
}
