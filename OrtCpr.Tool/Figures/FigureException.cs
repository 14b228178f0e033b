using OrtCpr.Graph;

namespace OrtCpr.Tool.Figures;

// What a picture is drawn from is not there, or the picture can't be written.
internal sealed class FigureException(string message) : OrtCprException(message);
