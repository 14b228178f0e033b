using OrtCpr.Graph.Ir;
using OrtCpr.Graph.Operators;

namespace OrtCpr.Graph.Losses;

/// <summary>The negative logarithm of the label's probability, from log-probabilities (PyTorch <c>NLLLoss</c>) or probabilities.</summary>
/// <remarks>Log-probabilities [B,C] or with the classes on <see cref="ClassLoss.ClassAxis"/>; labels Int64 of that shape without the class
/// axis. The mean divides by the summed class weights of the labels that count.</remarks>
public sealed record NllLoss : ClassLoss
{
    /// <summary>Whether the output holds probabilities, whose logarithm is taken (at least −100, as PyTorch's <c>BCELoss</c> does). Default
    /// null: where the output is a Softmax or Sigmoid of the model, it does; else it holds log-probabilities.</summary>
    public bool? Probabilities { get; init; }

    private protected override Term Scores(LossContext context, Term scores) =>
        Probabilities ?? Activations.Of(scores)?.Gives == Activation.Probabilities ? ClassIndices.LogarithmOf(context.G, scores) : scores;

    private protected override Term OfRows(GraphBuilder g, Term scores, Term labels) => -ClassIndices.Pick(g, scores, labels);
}
