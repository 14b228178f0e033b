using System.Numerics.Tensors;
using OrtCpr;

namespace Grokking;

// Loss and accuracy over a whole set, in large batches that are views of it.
internal sealed class Evaluator : IDisposable
{
    private const int BatchRows = 1024;
    private readonly List<(Batch Batch, int Start, int Rows)> _batches = [];
    private readonly Examples _examples;

    public Evaluator(Examples examples)
    {
        _examples = examples;
        for (int start = 0; start < examples.Count; start += BatchRows)
        {
            int rows = Math.Min(BatchRows, examples.Count - start);
            Batch batch = new Batch()
                .Add("tokens", examples.Tokens.AsMemory(start * Examples.Length, rows * Examples.Length), rows, Examples.Length)
                .Add("labels", examples.Labels.AsMemory(start, rows), rows);
            _batches.Add((batch, start, rows));
        }
    }

    public (double Loss, double Accuracy) Measure(TrainingDriver driver)
    {
        double loss = 0;
        int right = 0;
        foreach ((Batch batch, int start, int rows) in _batches)
        {
            using Evaluation evaluation = driver.EvalStep(batch, "logits");
            loss += evaluation.Loss * rows;
            ReadOnlySpan<float> logits = evaluation["logits"].GetTensorDataAsSpan<float>();
            int classes = logits.Length / rows;
            for (int i = 0; i < rows; i++)
            {
                if (TensorPrimitives.IndexOfMax(logits.Slice(i * classes, classes)) == _examples.Labels[start + i]) right++;
            }
        }
        return (loss / _examples.Count, (double)right / _examples.Count);
    }

    public void Dispose()
    {
        foreach ((Batch batch, _, _) in _batches) batch.Dispose();
    }
}
