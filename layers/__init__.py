"""Pictures: Folium pages, their shapes, colours and words."""
